// Objects by the TypeScript client, against a gateway: node typescript_objects.mjs DIST GATEWAY ZOD
const [dist, gateway, zod] = process.argv.slice(2);
const { PythonClient } = await import(`${dist}/index.js`);
const { generateObject, isObjectTruncatedError, streamObject } = await import(`${dist}/objects.js`);
const { z } = await import(zod);

const client = new PythonClient(gateway);
const schema = z.object({
  name: z.string().max(8),
  age: z.int().min(0).max(30),
  size: z.enum(["small", "large"]).transform((size) => size.toUpperCase()),
});
// More than the longest answer has: the grammar lets a model write up to 20 characters of white space at each of 14 places.
const request = { prompt: "A dog: ", schema, temperature: 1, max_length: 400 };

const generated = await generateObject(client, request);

const events = [];
for await (const event of streamObject(client, { ...request, seed: 7 })) events.push(event);

const truncated = await generateObject(client, { ...request, max_length: 2 }).catch((error) => error);

console.log(
  JSON.stringify({
    object: generated.object,
    text: generated.response.text,
    events,
    truncated: {
      isTruncated: isObjectTruncatedError(truncated),
      text: truncated.text,
      finishReason: truncated.finishReason,
    },
  }),
);
