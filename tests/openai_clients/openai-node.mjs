// The package that argv names, "openai-7" or "openai-6", against the gateway at `url`: prints what it gave as JSON.

const [packageName, url, model] = process.argv.slice(2);
const { default: OpenAI } = await import(packageName);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "a-key-that-is-known", maxRetries: 0 });
const stranger = new OpenAI({ baseURL: `${url}/v1`, apiKey: "a-key-that-is-not-known", maxRetries: 0 });

const chat = (content, more = {}) => ({ model, messages: [{ role: "user", content }], max_tokens: 20, ...more });

async function collect(stream) {
  const texts = [];
  let usage;
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta.content) texts.push(chunk.choices[0].delta.content);
    usage = chunk.usage ?? usage;
  }
  return { texts, usage };
}

async function failure(attempt) {
  try {
    await attempt();
  } catch (error) {
    return { name: error.constructor.name, text: error.message, status: error.status, code: error.code };
  }
}

async function abort() {
  const stream = await client.chat.completions.create(chat("endless", { stream: true }));
  for await (const _ of stream) break;
}

const create = (body) => client.chat.completions.create(body);
const seen = {
  models: (await client.models.list()).data.map(({ id }) => id),
  completion: (await client.completions.create({ model, prompt: "Once", max_tokens: 20 })).choices[0].text,
  chat: (await create(chat("Once"))).choices[0].message.content,
  stream: await collect(await create(chat("Once", { stream: true, stream_options: { include_usage: true } }))),
  helper: await client.chat.completions.stream(chat("Once")).finalContent(),
};
if (process.argv[5] === "with failures") {
  seen.failures = {
    unauthorized: await failure(() => stranger.chat.completions.create(chat("Once"))),
    invalid_request: await failure(() => create(chat("Once", { modalities: ["audio"] }))),
    model_not_found: await failure(() => create({ ...chat("Once"), model: "other" })),
    overloaded: await failure(() => create(chat("overloaded", { stream: true }))),
    rate_limited: await failure(() => create(chat("rate_limited"))),
    context_length_exceeded: await failure(() => create(chat("context_length_exceeded"))),
    worker_died: await failure(async () => collect(await create(chat("worker_died", { stream: true })))),
  };
  await abort();
  seen.after_departure = (await create(chat("departure"))).choices[0].message.content;
}
process.stdout.write(JSON.stringify(seen));
