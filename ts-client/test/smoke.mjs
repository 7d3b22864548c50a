// What the built client does in whatever runs this: node smoke.mjs CLIENT GATEWAY ADDRESS_AT_WHICH_NOBODY_LISTENS
const [client, gateway, nowhere] = process.argv.slice(2);
const { isApiError, isConnectionError, isStreamTruncatedError, isTimeoutError, PythonClient } = await import(client);
const python = new PythonClient(gateway, { maxRetries: 0 });
const impatient = new PythonClient(gateway, { maxRetries: 0, timeouts: { idleMs: 100 } });
const seen = {};

async function read(prompt, { client = python, controller, onText } = {}) {
  let events = 0;
  let text = "";
  for await (const event of client.streamText({ prompt }, { signal: controller?.signal })) {
    events += 1;
    if (event.type !== "delta") continue;
    text += event.text;
    controller?.abort("stop");
    await onText?.(text);
  }
  return events;
}

const failure = (promise) =>
  promise.then(
    () => undefined,
    (error) => error,
  );
seen.whole = await read("whole");
seen.aborted = await failure(read("whole", { controller: new AbortController() }));
const refused = await failure(read("refused"));
seen.refused = isApiError(refused) && refused.code;
const silent = await failure(read("silent", { client: impatient }));
seen.silent = isTimeoutError(silent) && silent.timeout;
// Its server cuts it when all of it is here.
const cut = await failure(read("cut", { onText: (text) => text.endsWith("!") && fetch(`${gateway}/seen`) }));
seen.cut = isStreamTruncatedError(cut) && cut.text;
seen.unreachable = isConnectionError(await failure(new PythonClient(nowhere, { maxRetries: 0 }).models()));
process.stdout.write(JSON.stringify(seen));
