// Writes src/schema.gen.ts: the types of the gateway's contract, from the openapi.json that the gateway's own code made.

import { readFile, writeFile } from "node:fs/promises";
import openapiTS, { astToString, tsUnion, UNDEFINED } from "openapi-typescript";

const SOURCE = new URL("../openapi.json", import.meta.url);
const TARGET = new URL("src/schema.gen.ts", import.meta.url);

// Noise: Pydantic titles each field with its own name, and the discriminator repeats what each event's `type` says.
// (A field that is itself called "title" has an object here, not a string.)
const withoutNoise = (key, value) =>
  key === "discriminator" || (key === "title" && typeof value === "string") ? undefined : value;

/** What a request may leave out may also be undefined, as in this package's own options. */
function orUndefined(type, { path }) {
  const [, name, field] = /schemas\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
  const { properties = {}, required = [] } = components.schemas[name] ?? {};
  return field in properties && !required.includes(field) ? tsUnion([type, UNDEFINED]) : type;
}

const { openapi, components } = JSON.parse(await readFile(SOURCE, "utf8"), withoutNoise);
const types = await openapiTS(
  { openapi, info: { title: "Torchbridge", version: "" }, paths: {}, components: { schemas: components.schemas } },
  {
    defaultNonNullable: false, // a request may leave out what has a default
    postTransform: orUndefined,
    rootTypes: true,
    rootTypesNoSchemaPrefix: true,
    silent: true,
  },
);
await writeFile(TARGET, `// Generated from openapi.json by "npm run generate"; do not edit.\n\n${astToString(types)}`);
