// Chats by the TypeScript client, against a gateway: node typescript_chat.mjs DIST GATEWAY ZOD
const [dist, gateway, zod] = process.argv.slice(2);
const { PythonClient } = await import(`${dist}/index.js`);
const { chat, isInvalidToolCallError, streamChat } = await import(`${dist}/chat.js`);
const { z } = await import(zod);

const client = new PythonClient(gateway);
const messages = [{ role: "user", content: "Is it warm in Rome?" }];
const city = z.enum(["Rome", "Bonn"]).transform((name) => name.toUpperCase());
const tools = { weather: { description: "Of a city", parameters: z.object({ city }) } };

const text = await chat(client, { messages, model: "tiny", max_tokens: 8 });

const calling = { messages, tools, tool_choice: "required", parallel_tool_calls: false };
const events = [];
for await (const event of streamChat(client, calling)) events.push(event);

const { answer } = events.at(-1);
const results = answer.toolCalls.map(({ id }) => ({ role: "tool", tool_call_id: id, content: "21 degrees" }));
const next = await chat(client, { messages: [...messages, answer.message, ...results], tools, max_tokens: 8, tool_choice: "none" });

const note = { parameters: z.object({ text: z.string().min(400) }) };
const short = { messages, tools: { note }, tool_choice: "required", max_tokens: 80 };
const truncated = await chat(client, short).catch((error) => error);

const { object } = await chat(client, { messages, output: z.object({ city }) });

const refusal = await chat(client, { messages, model: "other" }).catch((error) => error);

console.log(
  JSON.stringify({
    text,
    events,
    next,
    truncated: { isInvalid: isInvalidToolCallError(truncated), tool: truncated.tool, cause: truncated.cause?.name },
    object,
    refusal: { code: refusal.code, status: refusal.status },
  }),
);
