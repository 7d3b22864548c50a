// Calls a gateway as a Node program would, and prints what it saw: node typescript_client.mjs CLIENT GATEWAY
const [client, gateway] = process.argv.slice(2);
const { PythonClient } = await import(client);
const python = new PythonClient(gateway);

// The snippet of the user's guide.
const prompt = "Once upon a time";
const r = await python.generateText({ prompt, max_length: 100, temperature: 0.7 });

const events = [];
for await (const event of python.streamText({ prompt, max_length: 20, temperature: 0 })) events.push(event);

const refusal = await python.generateText({ prompt: "" }).catch((error) => error);

const controller = new AbortController();
const reason = new Error("enough");
let aborted;
try {
  const endless = { prompt, model: "endless", max_length: 32_000 };
  for await (const event of python.streamText(endless, { signal: controller.signal })) {
    if (event.type === "delta") controller.abort(reason);
  }
} catch (error) {
  aborted = error;
}

console.log(
  JSON.stringify({
    guide: { text: r.text, tokens_generated: r.tokens_generated, generation_time: r.generation_time },
    events,
    refusal: { isError: refusal instanceof Error, message: refusal.message, code: refusal.code, status: refusal.status },
    isAbortedWithItsReason: aborted === reason,
    models: (await python.models()).models.map((model) => model.name),
  }),
);
