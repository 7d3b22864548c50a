// The AI SDK with this project's own provider, against a gateway: node ai_sdk_provider.mjs DOOR GATEWAY AI FUNCTION
const [door, baseUrl, packageName, create] = process.argv.slice(2);
const { generateText, streamText } = await import(packageName);
const { [create]: createProvider } = await import(door);
const torchbridge = createProvider({ baseUrl });
const prompt = "Once upon a time";

const generated = await generateText({ model: torchbridge("tiny"), prompt, maxOutputTokens: 20 });

const streamed = streamText({ model: torchbridge("tiny"), prompt, maxOutputTokens: 20 });
const texts = [];
for await (const text of streamed.textStream) texts.push(text);

const refusal = await generateText({ model: torchbridge("other"), prompt, maxRetries: 0 }).catch((error) => error);

console.log(
  JSON.stringify({
    text: generated.text,
    model: generated.response.modelId,
    requestId: generated.response.headers["x-request-id"],
    id: generated.response.id,
    texts,
    usage: await streamed.usage,
    refusal: { code: refusal.code, status: refusal.statusCode, isRetryable: refusal.isRetryable },
  }),
);
