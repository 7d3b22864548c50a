// Responses by the package `openai` that argv names, against the gateway at `url`: prints what it gave as JSON.

const [packageName, url, model, mode] = process.argv.slice(2);
const { OpenAI } = await import(packageName);

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "a-key-that-is-known", maxRetries: 0 });
const stranger = new OpenAI({ baseURL: `${url}/v1`, apiKey: "a-key-that-is-not-known", maxRetries: 0 });
const create = (body) => client.responses.create(body);
const asked = (input, more = {}) => ({ model, input, max_output_tokens: 200, temperature: 1, ...more });
const object = (properties) => ({
  type: "object",
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});

async function drained(stream) {
  for await (const _ of stream);
}

async function failure(attempt) {
  try {
    await attempt();
  } catch (error) {
    return { name: error.constructor.name, text: error.message, status: error.status, code: error.code };
  }
}

async function failures() {
  for await (const _ of await create(asked("endless", { stream: true }))) break;
  return {
    after_departure: (await create(asked("departure"))).output_text,
    unauthorized: await failure(() => stranger.responses.create(asked("Once"))),
    invalid_request: await failure(() => create(asked("Once", { previous_response_id: "resp_1" }))),
    model_not_found: await failure(() => create({ ...asked("Once"), model: "other" })),
    overloaded: await failure(() => create(asked("overloaded", { stream: true }))),
    rate_limited: await failure(() => create(asked("rate_limited"))),
    context_length_exceeded: await failure(() => create(asked("context_length_exceeded"))),
    worker_died: await failure(async () => drained(await create(asked("worker_died", { stream: true })))),
  };
}

async function objectsAndTools() {
  const schema = object({ name: { type: "string", maxLength: 8 }, size: { enum: ["small", "large"] } });
  const format = { type: "json_schema", name: "dog", strict: true, schema };
  const dog = (await client.responses.parse(asked("A dog.", { text: { format } }))).output_parsed;

  const weather = {
    type: "function",
    name: "weather",
    strict: true,
    parameters: object({ days: { enum: [1, 2, 3] } }),
  };
  const question = [{ role: "user", content: "How is the weather?" }];
  const choice = { type: "function", name: "weather" };
  const stream = client.responses.stream(asked(question, { tools: [weather], tool_choice: choice }));
  let deltas = "";
  stream.on("response.function_call_arguments.delta", ({ delta }) => (deltas += delta));
  const called = await stream.finalResponse();
  const calls = called.output.filter(({ type }) => type === "function_call");
  const results = calls.map(({ call_id, arguments: input }) => ({
    type: "function_call_output",
    call_id,
    output: `${JSON.parse(input).days} fine days`,
  }));
  const history = [...question, ...called.output, ...results];
  const answer = await create(asked(history, { instructions: "Be brief.", max_output_tokens: 20 }));
  return {
    dog,
    arguments: calls.map((call) => call.arguments),
    deltas,
    results: results.map(({ output }) => output),
    text: answer.output_text,
    status: answer.status,
  };
}

async function texts() {
  const pieces = [];
  for await (const event of client.responses.stream(asked("Once", { max_output_tokens: 20 })))
    if (event.type === "response.output_text.delta") pieces.push(event.delta);
  return { text: (await create(asked("Once", { max_output_tokens: 20 }))).output_text, pieces };
}

const more = mode === "with failures" ? await failures() : await objectsAndTools();
process.stdout.write(JSON.stringify({ ...(await texts()), ...more }));
