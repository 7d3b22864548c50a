// The example's `npm run dev:all`, with programs in the place of `make serve` and `next dev` that say when they end.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";

const SCRIPTS = new URL("../examples/nextjs/scripts", import.meta.url).pathname;

function program(name: string, whenUp = ""): string {
  return `process.on("SIGINT", () => { console.log("${name} ended"); process.exit(0); });
setInterval(() => undefined, 1_000);
console.log("${name} up");
${whenUp}`;
}

async function startDevAll(app: string): Promise<{ output: () => string; code: Promise<number>; stop: () => void }> {
  const project = await mkdtemp(join(tmpdir(), "torchbridge-"));
  onTestFinished(() => rm(project, { recursive: true }));
  const example = join(project, "ts-client/examples/nextjs");
  await mkdir(join(example, "node_modules/next/dist/bin"), { recursive: true });
  await cp(SCRIPTS, join(example, "scripts"), { recursive: true });
  await writeFile(join(project, "Makefile"), `serve:\n\t@"${process.execPath}" server.cjs\n`);
  await writeFile(join(project, "server.cjs"), program("server", `require("node:fs").writeFileSync("up", "");`));
  await writeFile(join(example, "node_modules/next/dist/bin/next"), app);
  // Without the flags of a make that runs the tests: it may have its jobs say nothing before they end.
  const { MAKEFLAGS: _, ...env } = process.env;
  const child = spawn(process.execPath, ["scripts/dev-all.mjs"], { cwd: example, env });
  onTestFinished(() => void child.kill("SIGTERM"));
  let output = "";
  child.stdout.on("data", (piece) => {
    output += piece;
  });
  const code = once(child, "close").then(([exit]) => exit);
  return { output: () => output, code, stop: () => child.kill("SIGTERM") };
}

it("ends the Python side and the app when it is ended", async () => {
  const { output, code, stop } = await startDevAll(program("app"));
  while (!output().includes("app up") || !output().includes("server up")) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  stop();
  expect(await code).toBe(0);
  expect(output()).toContain("app ended");
  expect(output()).toContain("server ended");
});

it("ends the Python side when the app ends, and says so by its status", async () => {
  const dying = `setInterval(() => require("node:fs").existsSync("../../../up") && process.exit(3), 5);`;
  const { output, code } = await startDevAll(program("app", dying));
  expect(await code).toBe(3);
  expect(output()).toContain("server ended");
});
