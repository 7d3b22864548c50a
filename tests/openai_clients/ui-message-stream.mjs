// What `useChat` does without its page, by the package `ai` that argv names, against the gateway at `url`: prints what
// it gave as JSON.

const [packageName, url, model] = process.argv.slice(2);
const { DefaultChatTransport, readUIMessageStream } = await import(packageName);

const object = (properties) => ({
  type: "object",
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});
const weather = { name: "weather", parameters: object({ city: { type: "string", maxLength: 8 } }) };
const body = { model, max_tokens: 100, temperature: 1, seed: 1, tools: [{ type: "function", function: weather }] };

async function answer(messages, more) {
  const transport = new DefaultChatTransport({ api: `${url}/chat/ui`, body: { ...body, ...more } });
  const stream = await transport.sendMessages({ chatId: "chat-1", trigger: "submit-message", messages });
  let count = 0;
  let last;
  for await (const message of readUIMessageStream({ stream })) {
    count += 1;
    last = message;
  }
  return { count, message: last };
}

const question = { id: "m1", role: "user", parts: [{ type: "text", text: "How is the weather?" }] };
const chosen = { type: "function", function: { name: "weather" } };
const called = (await answer([question], { tool_choice: chosen })).message;
// As useChat's addToolOutput leaves it.
const parts = called.parts.map((part) =>
  part.type === "tool-weather" ? { ...part, state: "output-available", output: { sky: "blue" } } : part,
);
const said = await answer([question, { ...called, parts }], { tool_choice: "none" });
const failure = await answer([question], { model: "other" }).catch((error) => error.message);
process.stdout.write(
  JSON.stringify({
    call: called.parts.find(({ type }) => type === "tool-weather"),
    metadata: called.metadata,
    text: said.message.parts.filter(({ type }) => type === "text").map(({ text }) => text),
    pieces: said.count,
    failure: JSON.parse(failure).code,
  }),
);
