// Opens streams, 20 at a time, and drops each at a random point: node dropped_streams.mjs CLIENT GATEWAY NUMBER
const [client, gateway, number] = process.argv.slice(2);
const { PythonClient } = await import(client);
const python = new PythonClient(gateway, { maxRetries: 0 });
const ends = {};

let state = 20261124; // a run that goes wrong can be had again
function random(below) {
  state = (state * 1103515245 + 12345) % 2 ** 31;
  return state % below;
}

async function open(way) {
  const controller = new AbortController();
  const request = { prompt: "Once upon a time", max_length: 600, model: "endless" };
  const events = python.streamText(request, { signal: controller.signal });
  const timer = way === 0 ? setTimeout(() => controller.abort("dropped"), random(400)) : undefined;
  const last = 1 + random(30);
  let seen = 0;
  try {
    for await (const _ of events) {
      seen += 1;
      if (seen < last) continue;
      if (way === 1) return "left";
      if (way === 2) controller.abort("dropped");
    }
    return "whole";
  } catch (error) {
    if (error !== "dropped") throw error;
    return "aborted";
  } finally {
    clearTimeout(timer);
  }
}

let left = Number(number);

async function work() {
  while (left > 0) {
    left -= 1;
    const end = await open(random(3));
    ends[end] = (ends[end] ?? 0) + 1;
  }
}

await Promise.all(Array.from({ length: 20 }, work));
console.log(JSON.stringify(ends));
