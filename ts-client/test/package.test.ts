import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, expect, it } from "vitest";
import { TOOL_CHUNKS, wholeStream } from "./chat.js";
import { readBody, sendJson, startEventStream, startServer } from "./local-server.js";
import { PROBLEM, RESPONSE, START, WHOLE_STREAM } from "./wire.js";

const DOG = '{"name":"Rex","age":3}';

const run = promisify(execFile);
const root = new URL("..", import.meta.url).pathname;
const tsc = join(root, "node_modules/typescript/bin/tsc");

/** As strict as this package is itself, with the declarations of the package looked at too. */
const { compilerOptions } = JSON.parse(readFileSync(join(root, "tsconfig.json"), "utf8"));
const SETTINGS = {
  compilerOptions: {
    ...compilerOptions,
    types: ["node"],
    rootDir: ".",
    outDir: ".",
    declaration: false,
    declarationMap: false,
    isolatedDeclarations: false,
  },
  exclude: ["node_modules"],
};

/** An empty project in which the packed package is installed, as anybody would have it. */
let project: string;

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "torchbridge-"));
  const { npm_execpath: npm = "npm-cli.js" } = process.env;
  // Built where it is packed, so that its maps point to the sources beside it.
  await run("sh", ["-c", 'mkdir package && cp -r "$0/src" "$0/tsconfig.json" package', root], { cwd: project });
  await run("ln", ["-s", join(root, "node_modules"), join(project, "package/node_modules")]);
  const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  await writeFile(
    join(project, "package/package.json"),
    JSON.stringify({ ...manifest, scripts: undefined, devDependencies: undefined }),
  );
  await run(process.execPath, [tsc, "--project", join(project, "package")]);
  await run(process.execPath, [npm, "pack", "./package", "--silent"], { cwd: project });
  await run("rm", ["-r", "package"], { cwd: project });
  await writeFile(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
  await writeFile(join(project, "tsconfig.json"), JSON.stringify(SETTINGS));
  const install = ["install", "--offline", "--no-audit", "--no-fund", `./torchbridge-${manifest.version}.tgz`];
  await run(process.execPath, [npm, ...install], { cwd: project });
  for (const name of ["@types", "zod"]) {
    await run("ln", ["-s", join(root, "node_modules", name), join(project, "node_modules", name)]);
  }
}, 120_000);

/** The blocks of a document are one program. What cannot be run says why in a comment before it (tests/documents.py). */
async function snippets(document: string): Promise<string> {
  const text = await readFile(join(root, document), "utf8");
  const blocks = Array.from(text.matchAll(/(?<!<!-- not run: [^\n]*\n)```ts\n(.*?)```/gs), ([, block]) => block);
  return blocks.length === 0 ? "" : `declare const stopButton: { onclick: () => void };\n${blocks.join("\n")}`;
}

/** By the name of the module: "readme" is this package's own. */
async function programs(): Promise<Map<string, string>> {
  const pages = (await readdir(join(root, "../docs"))).filter((name) => name.endsWith(".md"));
  const documents = ["README.md", "../README.md", ...pages.map((name) => `../docs/${name}`)];
  const entries = documents.map(async (name, index) => [`readme${index || ""}`, await snippets(name)] as const);
  const programs = new Map((await Promise.all(entries)).filter(([, program]) => program));
  expect(programs.size).toBeGreaterThan(1);
  return programs;
}

it("type-checks the snippets of README and docs in a strict project", async () => {
  for (const [name, program] of await programs()) await writeFile(join(project, `${name}.ts`), program);
  await run(process.execPath, [tsc, "--project", project, "--noEmit"], { cwd: project });
});

it("runs the snippets of README and docs", async () => {
  const { url } = await startServer(async (request, response) => {
    if (request.url === "/v1/chat/completions") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(wholeStream([...TOOL_CHUNKS.slice(0, 4), ...TOOL_CHUNKS.slice(-2)])); // the first call
      return;
    }
    const { prompt, output } = JSON.parse(await readBody(request)) as { prompt: string; output?: object };
    const answer = output ? { ...RESPONSE, text: DOG } : RESPONSE;
    if (prompt === "") sendJson(response, 422, { ...PROBLEM, status: 422, code: "invalid_request", retryable: false });
    else if (request.url === "/generate/stream") {
      startEventStream(response, output ? [START, { type: "done", response: answer }] : WHOLE_STREAM);
      response.end();
    } else sendJson(response, 200, answer);
  });
  const names: string[] = [];
  for (const [name, program] of await programs()) {
    const here = program.replaceAll("http://localhost:8000", url).replaceAll("https://gateway.example.com", url);
    await writeFile(join(project, `${name}.ts`), here);
    names.push(name);
  }
  await run(process.execPath, [tsc, "--project", project], { cwd: project });
  const imports = names.map((name) => `await import("./${name}.js");`).join(" ");
  await writeFile(join(project, "main.js"), `globalThis.stopButton = {}; ${imports}`);
  const { stdout, stderr } = await run(process.execPath, ["main.js"], { cwd: project });
  expect(stdout).toContain(`${RESPONSE.text} 2 0.25`);
  expect(stdout).toContain("Rex 3\n3\n");
  expect(stdout).toContain("weather Bonn\ntool_calls");
  expect(stderr).toContain(`API error: ${PROBLEM.detail}`);
});

it("carries the source of each file, for debuggers and editors", async () => {
  const dist = join(project, "node_modules/torchbridge/dist");
  const files = await readdir(dist, { recursive: true });
  const code = files.filter((file) => /\.(js|d\.ts)$/.test(file));
  expect(code).toContain("index.js");
  for (const file of code) {
    const map = join(dist, `${file}.map`);
    const { sources } = JSON.parse(await readFile(map, "utf8")) as { sources: string[] };
    expect(sources.map((source) => existsSync(join(map, "..", source)))).toEqual([true]);
  }
});
