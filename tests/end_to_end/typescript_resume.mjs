// A stream by the TypeScript client whose connections are cut: node typescript_resume.mjs DIST GATEWAY GATEWAY
const [dist, ...gateways] = process.argv.slice(2);
const { PythonClient } = await import(`${dist}/index.js`);
const { streamResumable } = await import(`${dist}/resume.js`);

const BYTES = 6_000; // of one connection
const request = { prompt: "Once upon a time", max_length: 100, min_length: 100, temperature: 1, seed: 7 };
const headers = { "cache-control": "no-store" };
const attempts = [];

/** Each attempt goes to the next gateway, and its connection is lost after some events. */
async function cutting(url, init) {
  const gateway = gateways[attempts.length % gateways.length];
  attempts.push({ gateway, goesOn: new Headers(init.headers).has("last-event-id") });
  const response = await fetch(url.replace(gateways[0], gateway), init);
  let left = BYTES;
  const cut = new TransformStream({
    transform(bytes, controller) {
      left -= bytes.length;
      if (left < 0) controller.error(new Error("cut"));
      else controller.enqueue(bytes);
    },
  });
  return new Response(response.body.pipeThrough(cut), response);
}

const events = [];
const client = new PythonClient(gateways[0], { fetch: cutting });
for await (const event of streamResumable(client, request, { headers, maxResumes: 20 })) events.push(event);

const undisturbed = await new PythonClient(gateways[0]).generateText(request, { headers });
console.log(JSON.stringify({ events, attempts, undisturbed }));
