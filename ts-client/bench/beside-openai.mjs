// `npm run build && npm run bench`: this client beside the package `openai`, over the same text as each reads it. Every figure
// is a ratio of medians of rounds that take turns in one run, as machines are busy.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { rolldown } from "rolldown";

const ROUNDS = 9;
const EVENTS = 1_000;
const ours = new URL("../dist/index.js", import.meta.url).href;
const theirs = new URL("../../tests/openai_clients/node_modules/openai-7/index.mjs", import.meta.url).href;

const encode = (events) => new TextEncoder().encode(events.map((event) => `data: ${event}\n\n`).join(""));
const head = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "tiny" };
const start = { type: "start", id: "1", model: "tiny", model_version: "1.0", model_digest: "1f", prompt_tokens: 3 };
const numbers = Array.from({ length: EVENTS }, (_, index) => index);
const ourWire = encode([
  JSON.stringify(start),
  ...numbers.map((index) => JSON.stringify({ type: "delta", index, text: ` word${index}` })),
  JSON.stringify({ type: "done", response: { ...start, text: "" } }),
]);
const theirWire = encode([
  ...numbers.map((index) =>
    JSON.stringify({ ...head, choices: [{ index: 0, delta: { content: ` word${index}` }, finish_reason: null }] }),
  ),
  "[DONE]",
]);

/** An answer in pieces of the size that a network gives. */
function answering(wire) {
  return async () => {
    let position = 0;
    const body = new ReadableStream({
      pull(controller) {
        controller.enqueue(wire.subarray(position, position + 1_400));
        position += 1_400;
        if (position >= wire.length) controller.close();
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  };
}

async function readOurs({ PythonClient }) {
  const client = new PythonClient("http://gateway", { fetch: answering(ourWire) });
  let events = 0;
  for await (const _ of client.streamText({ prompt: "Hello" })) events += 1;
  return events;
}

async function readTheirs({ OpenAI }) {
  const client = new OpenAI({ apiKey: "k", baseURL: "http://gateway", fetch: answering(theirWire) });
  const request = { model: "tiny", messages: [{ role: "user", content: "Hello" }], stream: true };
  let events = 0;
  for await (const _ of await client.chat.completions.create(request)) events += 1;
  return events;
}

async function size(module) {
  const bundle = await rolldown({ input: fileURLToPath(module), platform: "browser", logLevel: "silent" });
  const { output } = await bundle.generate({ minify: true });
  return gzipSync(output[0].code, { level: 9 }).length;
}

/** Of a process of its own, after it has loaded the module and read a stream: bytes of its heap. */
function heap(name) {
  const arguments_ = ["--expose-gc", fileURLToPath(import.meta.url), name];
  return Number(execFileSync(process.execPath, arguments_, { encoding: "utf8" }));
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

async function compare() {
  const [our, their] = [await import(ours), await import(theirs)];
  const times = { our: [], their: [] };
  for (let round = -2; round < ROUNDS; round += 1) {
    for (const [name, read, module] of [
      ["our", readOurs, our],
      ["their", readTheirs, their],
    ]) {
      const began = performance.now();
      const events = await read(module);
      if (events < EVENTS) throw new Error(`${name}: ${events} events`);
      if (round >= 0) times[name].push(performance.now() - began);
    }
  }
  const rows = [
    ["bytes, minified and gzipped", await size(ours), await size(theirs)],
    [`ms for ${EVENTS} events`, median(times.our), median(times.their)],
    ["heap after a stream, bytes over an empty process", heap("our") - heap("none"), heap("their") - heap("none")],
  ];
  const spread = (values) => `${Math.min(...values).toFixed(1)} to ${Math.max(...values).toFixed(1)}`;
  process.stdout.write(
    `Node ${process.version}, ${ROUNDS} rounds; ms: ${spread(times.our)} and ${spread(times.their)}\n`,
  );
  for (const [what, mine, other] of rows) {
    process.stdout.write(
      `${what}: ${mine.toFixed(1)} and openai's ${other.toFixed(1)}, ${(other / mine).toFixed(1)} x\n`,
    );
  }
}

async function measureHeap(name) {
  if (name === "our") await readOurs(await import(ours));
  if (name === "their") await readTheirs(await import(theirs));
  globalThis.gc();
  process.stdout.write(String(process.memoryUsage().heapUsed));
}

if (process.argv[2] === undefined) await compare();
else await measureHeap(process.argv[2]);
