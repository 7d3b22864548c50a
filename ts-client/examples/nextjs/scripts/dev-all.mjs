// Starts the Python side (make serve) and the app together; Ctrl-C ends both, and so does the end of one of them.
import { spawn } from "node:child_process";

const project = new URL("../../../..", import.meta.url).pathname;
// An answer that a page has left runs on for so many seconds, so that a page that is loaded anew finds it.
const env = { TORCHBRIDGE_UNREAD_STREAM_SECONDS: "30", ...process.env };
// Each in a process group of its own, so that one signal reaches all of it: make hands no SIGINT on to what it runs.
const options = { detached: true, env, stdio: ["ignore", "inherit", "inherit"] };
const children = [
  spawn("make", ["-C", project, "serve"], options),
  spawn(process.execPath, ["node_modules/next/dist/bin/next", "dev"], options),
];
let isStopping = false;

function stop() {
  if (isStopping) return;
  isStopping = true;
  for (const { pid, exitCode, signalCode } of children) {
    if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, "SIGINT");
  }
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, stop);
for (const child of children) {
  child.on("exit", (code) => {
    process.exitCode ||= code ?? 0;
    stop();
  });
}
