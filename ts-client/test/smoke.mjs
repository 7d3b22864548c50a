// What the built client does in whatever runs this: node smoke.mjs CLIENT GATEWAY
const [client, gateway] = process.argv.slice(2);
const { isApiError, isConnectionError, isStreamTruncatedError, isTimeoutError, PythonClient } = await import(client);
const python = new PythonClient(gateway, { maxRetries: 0, timeouts: { idleMs: 100 } });
const seen = {};

async function read(prompt, controller) {
  let events = 0;
  for await (const event of python.streamText({ prompt }, { signal: controller?.signal })) {
    events += 1;
    if (event.type === "delta") controller?.abort("stop");
  }
  return events;
}

const failure = (promise) =>
  promise.then(
    () => undefined,
    (error) => error,
  );
seen.whole = await read("whole");
seen.aborted = await failure(read("whole", new AbortController()));
const refused = await failure(read("refused"));
seen.refused = isApiError(refused) && refused.code;
const silent = await failure(read("silent"));
seen.silent = isTimeoutError(silent) && silent.timeout;
const cut = await failure(read("cut"));
seen.cut = isStreamTruncatedError(cut) && cut.text;
seen.unreachable = isConnectionError(await failure(new PythonClient("http://127.0.0.1:1", { maxRetries: 0 }).models()));
process.stdout.write(JSON.stringify(seen));
