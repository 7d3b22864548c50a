// Starts the Python side (make serve) and the app together; Ctrl-C ends both.
import { spawn } from "node:child_process";

const project = new URL("../../../..", import.meta.url).pathname;
const children = [
  spawn("make", ["-C", project, "serve"], { stdio: "inherit" }),
  spawn(process.execPath, ["node_modules/next/dist/bin/next", "dev"], { stdio: "inherit" }),
];

function stop() {
  for (const child of children) child.kill("SIGINT");
}

for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, stop);
for (const child of children) {
  child.on("exit", (code) => {
    process.exitCode ||= code ?? 0;
    stop();
  });
}
