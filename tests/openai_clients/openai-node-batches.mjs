// A batch by the package that argv names, "openai-7" or "openai-6", against the gateway at `url`: prints what it gave as JSON.

import { setTimeout } from "node:timers/promises";

const [packageName, url, model] = process.argv.slice(2);
const { default: OpenAI, toFile } = await import(packageName);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "a-key-that-is-known", maxRetries: 0 });

const lines = (...words) =>
  words
    .map((content, number) =>
      JSON.stringify({
        custom_id: `request-${number}`,
        method: "POST",
        url: "/v1/chat/completions",
        body: { model, messages: [{ role: "user", content }], max_tokens: 8 },
      }),
    )
    .join("\n");

async function run(content) {
  const file = await client.files.create({ file: await toFile(Buffer.from(content), "input.jsonl"), purpose: "batch" });
  let batch = await client.batches.create({
    input_file_id: file.id,
    endpoint: "/v1/chat/completions",
    completion_window: "24h",
    metadata: { for: "a test" },
    output_expires_after: { anchor: "created_at", seconds: 7_200 },
  });
  while (["validating", "in_progress", "finalizing"].includes(batch.status)) {
    await setTimeout(50);
    batch = await client.batches.retrieve(batch.id);
  }
  return batch;
}

async function status(attempt) {
  try {
    await attempt();
  } catch (error) {
    return error.status;
  }
}

async function count(pages) {
  let number = 0;
  for await (const _ of pages) number += 1;
  return number;
}

const batch = await run(lines("one", "two", "three"));
const text = await (await client.files.content(batch.output_file_id)).text();
const output = text.trim().split("\n").map((each) => JSON.parse(each));
const outputFile = await client.files.retrieve(batch.output_file_id);
const seen = {
  status: batch.status,
  counts: batch.request_counts,
  metadata: batch.metadata,
  ids: output.map((each) => each.custom_id),
  texts: output.map((each) => each.response.body.choices[0].message.content),
  age: outputFile.expires_at - outputFile.created_at,
  wrong_lines: (await run(`${lines("one")}\n{`)).errors.data.map(({ line }) => line),
  batches: await count(client.batches.list({ limit: 1 })),
  files: await count(client.files.list({ limit: 2, purpose: "batch" })),
  late_cancel: await status(() => client.batches.cancel(batch.id)),
  deleted: (await client.files.delete(batch.output_file_id)).deleted,
  gone: await status(() => client.files.content(batch.output_file_id)),
};
process.stdout.write(JSON.stringify(seen));
