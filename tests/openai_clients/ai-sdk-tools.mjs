// Objects and a loop of tools by the packages that argv names, as ai-sdk.mjs has them: prints what they gave as JSON.
// Instead of a provider's package it takes the client's own door and the function of it that makes a provider.

const [packageName, providerName, url, model, create = "createOpenAICompatible"] = process.argv.slice(2);
const { generateObject, generateText, jsonSchema, stepCountIs, streamObject, streamText, tool } = await import(packageName);
const { [create]: createProvider } = await import(providerName);

const provider =
  create === "createOpenAICompatible"
    ? createProvider({ name: "torchbridge", baseURL: `${url}/v1`, includeUsage: true, supportsStructuredOutputs: true })
    : createProvider({ baseUrl: url });
const object = (properties) =>
  jsonSchema({ type: "object", properties, required: Object.keys(properties), additionalProperties: false });
const call = { model: provider.languageModel(model), maxRetries: 0, maxOutputTokens: 200, temperature: 1, seed: 1 };
const dog = {
  ...call,
  prompt: "A dog.",
  schema: object({ name: { type: "string", maxLength: 8 }, size: { enum: ["small", "large"] } }),
};

const ran = [];
const runs = (name, inputSchema) =>
  tool({
    description: name,
    inputSchema,
    execute: async (input) => {
      ran.push({ name, input });
      return "done";
    },
  });
const tools = {
  weather: runs("weather", object({ city: { type: "string", maxLength: 8 } })),
  remind: runs("remind", object({ at: { type: "string", pattern: "^[0-2][0-9]:[0-5][0-9]$" } })),
};
// The model of the tests is too small to choose well: each step says what it is to do.
const choices = [{ type: "tool", toolName: "weather" }, { type: "tool", toolName: "remind" }, "none"];
const loop = {
  ...call,
  prompt: "How is the weather? Remind me.",
  tools,
  stopWhen: stepCountIs(choices.length),
  prepareStep: ({ stepNumber }) => ({ toolChoice: choices[stepNumber] }),
};

async function partialObjects() {
  const partial = [];
  const result = streamObject(dog);
  for await (const each of result.partialObjectStream) partial.push(each);
  return { partial: partial.length, last: partial.at(-1), object: await result.object };
}

const whole = await generateText(loop);
const ranWhole = ran.splice(0);
const streamed = streamText(loop);
await streamed.consumeStream();
process.stdout.write(
  JSON.stringify({
    object: (await generateObject(dog)).object,
    streamed_object: await partialObjects(),
    steps: whole.steps.map((step) => step.toolCalls.map(({ toolName, input }) => ({ name: toolName, input }))),
    ran: ranWhole,
    text: whole.text,
    streamed_ran: ran,
    streamed_text: await streamed.text,
  }),
);
