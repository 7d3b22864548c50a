// The packages that argv names, "ai-7" and "@ai-sdk/openai-compatible-3" or the ones before, against the gateway at
// `url`: prints what they gave as JSON.

const [packageName, providerName, url, model] = process.argv.slice(2);
const { generateText, streamText } = await import(packageName);
const { createOpenAICompatible } = await import(providerName);

const provider = (apiKey) =>
  createOpenAICompatible({ name: "torchbridge", baseURL: `${url}/v1`, apiKey, includeUsage: true });
const friend = provider("a-key-that-is-known");

const ask = (prompt, more = {}) => ({
  model: friend.chatModel(model),
  prompt,
  maxOutputTokens: 20,
  maxRetries: 0,
  onError: () => {}, // the default one prints
  ...more,
});

async function collect(result) {
  const texts = [];
  for await (const part of result.fullStream) {
    if (part.type === "text-delta") texts.push(part.text);
    if (part.type === "error") throw part.error;
  }
  const { inputTokens, outputTokens } = await result.usage;
  return { texts, usage: { prompt_tokens: inputTokens, completion_tokens: outputTokens } };
}

async function failure(attempt) {
  try {
    await attempt();
  } catch (error) {
    const { name, message, statusCode, data, code } = error;
    return { name, text: message, status: statusCode, code: data?.error?.code ?? data?.code ?? code };
  }
}

async function abort() {
  const controller = new AbortController();
  for await (const part of streamText(ask("endless", { abortSignal: controller.signal })).fullStream) {
    if (part.type === "text-delta") controller.abort();
  }
}

const seen = {
  completion: (await generateText(ask("Once", { model: friend.completionModel(model) }))).text,
  chat: (await generateText(ask("Once"))).text,
  stream: await collect(streamText(ask("Once"))),
};
if (process.argv[6] === "with failures") {
  seen.failures = {
    unauthorized: await failure(() =>
      generateText(ask("Once", { model: provider("a-key-that-is-not-known").chatModel(model) })),
    ),
    invalid_request: await failure(() =>
      generateText(ask("Once", { providerOptions: { torchbridge: { modalities: ["audio"] } } })),
    ),
    model_not_found: await failure(() => generateText(ask("Once", { model: friend.chatModel("other") }))),
    overloaded: await failure(() => collect(streamText(ask("overloaded")))),
    rate_limited: await failure(() => generateText(ask("rate_limited"))),
    context_length_exceeded: await failure(() => generateText(ask("context_length_exceeded"))),
    worker_died: await failure(() => collect(streamText(ask("worker_died")))),
  };
  await abort();
  seen.after_departure = (await generateText(ask("departure"))).text;
}
process.stdout.write(JSON.stringify(seen));
