// What `useChat({ resume: true })` does without its page, by the package `ai` that argv names, against the gateway at
// `url`: prints what it gave as JSON.

const [packageName, url, model] = process.argv.slice(2);
const { DefaultChatTransport, readUIMessageStream } = await import(packageName);

const TRIES = 4;
const api = `${url}/chat/ui`;
const body = { model, max_tokens: 60, min_tokens: 60, seed: 1, temperature: 1 };
const headers = { "x-resumable": "true", "cache-control": "no-store" };
const transport = new DefaultChatTransport({ api, body, headers });
const messages = [{ id: "m1", role: "user", parts: [{ type: "text", text: "Tell me a story." }] }];
const textOf = ({ parts }) => parts.map(({ text = "" }) => text).join("");

async function read(stream) {
  let last;
  for await (const message of readUIMessageStream({ stream })) last = message;
  return last;
}

/** As a page that is closed after the first word of an answer. */
async function ask(chatId) {
  const controller = new AbortController();
  const { signal: abortSignal } = controller;
  const stream = await transport.sendMessages({ chatId, trigger: "submit-message", messages, abortSignal });
  for await (const message of readUIMessageStream({ stream })) {
    if (textOf(message) === "") continue;
    controller.abort();
    return message;
  }
}

/** An answer that has ended before it is left is not kept: where the machine stands still, that is another try. */
async function leftAndFound() {
  for (let tries = 1; ; tries += 1) {
    const left = await ask(`left ${tries}`);
    const stream = await transport.reconnectToStream({ chatId: `left ${tries}` });
    if (stream !== null || tries === TRIES) return { left, found: await read(stream) };
  }
}

const whole = await read(
  await new DefaultChatTransport({ api, body, headers: { "cache-control": "no-store" } }).sendMessages({
    chatId: "whole",
    trigger: "submit-message",
    messages,
  }),
);
const { left, found } = await leftAndFound();
await ask("stopped");
const { status } = await fetch(`${api}/stopped/stream`, { method: "DELETE" });
const stopped = await transport.reconnectToStream({ chatId: "stopped" });
process.stdout.write(
  JSON.stringify({
    whole: textOf(whole),
    left: { id: left.id, text: textOf(left) },
    found: { id: found.id, text: textOf(found), tokens: found.metadata.completionTokens },
    status,
    stopped,
  }),
);
