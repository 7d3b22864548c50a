// Objects and tools by the package `openai` that argv names, against the gateway at `url`: prints what it gave as JSON.

const [packageName, url, model] = process.argv.slice(2);
const { OpenAI } = await import(packageName);

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none is asked for", maxRetries: 0 });
const object = (properties) => ({
  type: "object",
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});
const call = { model, max_tokens: 200, temperature: 1, seed: 1 };
const ran = [];
const weather = {
  type: "function",
  function: {
    name: "weather",
    description: "The weather of the next days",
    parameters: object({ days: { enum: [1, 2, 3] } }),
    parse: JSON.parse,
    function: ({ days }) => {
      ran.push({ name: "weather", input: { days } });
      return `${days} fine days`;
    },
  },
};
const question = { role: "user", content: "How is the weather?" };
const dog = object({ name: { type: "string", maxLength: 8 }, size: { enum: ["small", "large"] } });

const parsed = await client.chat.completions.parse({
  ...call,
  messages: [{ role: "user", content: "A dog." }],
  response_format: { type: "json_schema", json_schema: { name: "dog", strict: true, schema: dog } },
});
// Its loop: the model is asked again with what each tool gave; one that was chosen runs once.
const chosen = { type: "function", function: { name: "weather" } };
const runner = client.chat.completions.runTools({
  ...call,
  messages: [question],
  tools: [weather],
  tool_choice: chosen,
  stream: true,
});
await runner.done();
const history = runner.messages.filter(({ role }) => role !== "system");
const answer = await client.chat.completions.create({ ...call, max_tokens: 20, messages: history });
process.stdout.write(
  JSON.stringify({
    object: JSON.parse(parsed.choices[0].message.content),
    ran,
    roles: history.map(({ role }) => role),
    text: answer.choices[0].message.content,
  }),
);
