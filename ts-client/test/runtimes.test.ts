import { execFile, execFileSync } from "node:child_process";
import { mkdtemp, writeFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, expect, it } from "vitest";
import { closedUrl, readBody, sendJson, startEventStream, startServer } from "./local-server.js";
import { DELTAS, PROBLEM, RESPONSE, START, WHOLE_STREAM } from "./wire.js";

const run = promisify(execFile);
const root = new URL("..", import.meta.url).pathname;

/** The one that runs this, the system's Node, and what TORCHBRIDGE_TEST_RUNTIMES names: `/path/to/bun:/path/to/deno run -A`. */
const { TORCHBRIDGE_TEST_RUNTIMES: others = "" } = process.env;
const RUNTIMES = [process.execPath, "/usr/bin/node", ...others.split(":")];

function version(runtime: string): string | undefined {
  try {
    return execFileSync(runtime.split(" ")[0] ?? "", ["--version"], { encoding: "utf8" }).split("\n")[0];
  } catch {
    return undefined; // it is not on this machine
  }
}

const found = RUNTIMES.map((runtime) => [version(runtime), runtime] as const).filter(([it]) => it !== undefined);
let client: string;

beforeAll(async () => {
  const output = await mkdtemp(join(tmpdir(), "torchbridge-"));
  await writeFile(join(output, "package.json"), '{"type": "module"}');
  await run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "--project", root, "--outDir", output]);
  client = join(output, "index.js");
}, 600_000);

it.each(found)("does the same in %s (%s)", async (_, runtime) => {
  let cut: ServerResponse | undefined;
  const { url } = await startServer(async (request, response) => {
    if (request.url === "/seen") {
      cut?.destroy();
      response.end();
      return;
    }
    const { prompt } = JSON.parse(await readBody(request)) as { prompt: string };
    if (prompt === "refused") return sendJson(response, 422, { ...PROBLEM, status: 422, code: "invalid_request" });
    startEventStream(response, prompt === "whole" ? WHOLE_STREAM : [START, ...DELTAS]);
    if (prompt === "whole") response.end();
    if (prompt === "cut") cut = response;
  });
  const [program = "", ...arguments_] = runtime.split(" ");
  const { stdout } = await run(program, [...arguments_, join(root, "test/smoke.mjs"), client, url, await closedUrl()]);
  expect(JSON.parse(stdout)).toEqual({
    whole: 4,
    aborted: "stop",
    refused: "invalid_request",
    silent: "idleMs",
    cut: RESPONSE.text,
    unreachable: true,
  });
});
