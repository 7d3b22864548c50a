// Streams with ids by the package that argv names, begun at one gateway and gone on with at another: prints them as JSON.

const [packageName, firstUrl, secondUrl, model] = process.argv.slice(2);
const { default: OpenAI } = await import(packageName);

const [first, second] = [firstUrl, secondUrl].map(
  (url) => new OpenAI({ baseURL: `${url}/v1`, apiKey: "any", maxRetries: 0 }),
);
const RESUMABLE = { "x-resumable": "true", "cache-control": "no-store" };
const LIMITS = { model, max_tokens: 60, temperature: 1, seed: 1, stream: true };
const ASKED = {
  "chat.completions": { ...LIMITS, messages: [{ role: "user", content: "Tell me a story." }] },
  completions: { ...LIMITS, prompt: "Once upon a time" },
};
const routeOf = (client, name) => (name.startsWith("chat") ? client.chat.completions : client.completions);
const piece = ({ choices: [choice] }) => choice.text ?? choice.delta?.content ?? "";

async function read(stream) {
  let text = "";
  const names = new Set();
  for await (const chunk of stream) {
    text += piece(chunk);
    names.add(`${chunk.id} ${chunk.created}`);
  }
  return { text, names: [...names] };
}

/** What came up to the last id of a stream that was left after some words, and that id. */
async function left(name) {
  let [text, cursor, rest] = ["", "", ""];
  const response = await routeOf(first, name).create(ASKED[name], { headers: RESUMABLE }).asResponse();
  for await (const bytes of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + bytes).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith("id: ")) cursor = line.slice("id: ".length);
      else if (line.startsWith("data: ") && cursor !== "") text += piece(JSON.parse(line.slice("data: ".length)));
      if (text.length > 20) return { text, cursor };
    }
  }
}

async function seen(name) {
  const route = routeOf(first, name);
  const whole = await read(await route.create(ASKED[name], { headers: { "cache-control": "no-store" } }));
  const withIds = await read(await route.create(ASKED[name], { headers: RESUMABLE }));
  const begun = await left(name);
  const headers = { ...RESUMABLE, "last-event-id": begun.cursor };
  const goneOn = await read(await routeOf(second, name).create(ASKED[name], { headers }));
  const { text: rest, names } = goneOn;
  return { whole: whole.text, with_ids: withIds.text, begun: begun.text, rest, names };
}

const entries = [];
for (const name of Object.keys(ASKED)) entries.push([name, await seen(name)]);
process.stdout.write(JSON.stringify(Object.fromEntries(entries)));
