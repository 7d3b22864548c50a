import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { chat } from "../src/chat.js";
import { PythonClient, type StreamEvent } from "../src/index.js";
import { streamResumable } from "../src/resume.js";
import { deferred } from "./deferred.js";
import { sendJson, startEndlessStream, startServer } from "./local-server.js";
import { caught, collect, PROBLEM, REQUEST, RESPONSE, START, WHOLE_STREAM } from "./wire.js";

describe("generateText", () => {
  it("sends nothing when the signal is aborted already", async () => {
    const server = await startServer((_, response) => sendJson(response, 200, RESPONSE));
    const reason = new Error("changed my mind");
    const error = await caught(
      new PythonClient(server.url).generateText(REQUEST, { signal: AbortSignal.abort(reason) }),
    );
    expect(error).toBe(reason);
    expect(server.connections).toBe(0);
  });

  it("throws the reason of the signal and leaves the server when it is aborted meanwhile", async () => {
    const disconnected = deferred();
    const controller = new AbortController();
    const reason = new Error("changed my mind");
    const server = await startServer((_, response) => {
      response.on("close", disconnected.resolve);
      controller.abort(reason);
    });
    const error = await caught(new PythonClient(server.url).generateText(REQUEST, { signal: controller.signal }));
    expect(error).toBe(reason);
    await disconnected.promise;
  });

  it("throws the reason of the signal when it is aborted within the answer", async () => {
    const controller = new AbortController();
    const server = await startServer((_, response) => {
      response.writeHead(200, { "content-length": 1_000 });
      response.write('{"text":');
    });
    const client = new PythonClient(server.url, {
      fetch: async (input, init) => {
        const response = await fetch(input, init);
        controller.abort("enough");
        return response;
      },
    });
    expect(await caught(client.generateText(REQUEST, { signal: controller.signal }))).toBe("enough");
  });

  it("leaves no listener on a signal that many calls share", async () => {
    const server = await startServer((request, response) => {
      if (request.url === "/models") sendJson(response, 503, PROBLEM);
      else sendJson(response, 200, RESPONSE);
    });
    const client = new PythonClient(server.url, { maxRetries: 0 });
    const { signal } = new AbortController();
    await Promise.all([1, 2, 3].map(() => client.generateText(REQUEST, { signal })));
    await caught(client.models({ signal }));
    await caught(collect(client.streamText(REQUEST, { signal })));
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});

describe("streamText", () => {
  it("yields nothing that is here already after an abort, throws the reason and disconnects", async () => {
    const { url, disconnected } = await startEndlessStream(WHOLE_STREAM);
    const controller = new AbortController();
    const types: string[] = [];
    const error = await caught(
      (async () => {
        for await (const event of new PythonClient(url).streamText(REQUEST, { signal: controller.signal })) {
          types.push(event.type);
          if (event.type === "delta") controller.abort("stop button");
        }
      })(),
    );
    expect(error).toBe("stop button");
    expect(types).toEqual(["start", "delta"]);
    await disconnected;
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  });

  it("does not yield the event that a schema looks at when the abort comes", async () => {
    const { url, disconnected } = await startEndlessStream(WHOLE_STREAM);
    const controller = new AbortController();
    const types: string[] = [];
    const validate = (value: unknown): { value: StreamEvent } => {
      if (types.length === 1) controller.abort("stop button");
      return { value: value as StreamEvent };
    };
    const client = new PythonClient(url, { schemas: { event: { "~standard": { validate } } } });
    const error = await caught(
      (async () => {
        for await (const event of client.streamText(REQUEST, { signal: controller.signal })) types.push(event.type);
      })(),
    );
    expect([error, types]).toEqual(["stop button", ["start"]]);
    await disconnected;
  });

  it("throws the reason of an abort while it waits for the next event", async () => {
    const { url, disconnected } = await startEndlessStream([START]);
    const controller = new AbortController();
    const events = new PythonClient(url).streamText(REQUEST, { signal: controller.signal });
    expect(await events.next()).toEqual({ done: false, value: START });
    const next = caught(events.next());
    controller.abort();
    expect(await next).toBe(controller.signal.reason);
    expect(controller.signal.reason).toHaveProperty("name", "AbortError");
    await disconnected;
    expect(await events.next()).toEqual({ done: true, value: undefined });
  });
});

it.each([null, false, 0, ""])("throws the reason %j, as fetch does", async (reason) => {
  const calls = [
    (client: PythonClient, signal: AbortSignal) => client.generateText(REQUEST, { signal }),
    (client: PythonClient, signal: AbortSignal) => collect(client.streamText(REQUEST, { signal })),
    (client: PythonClient, signal: AbortSignal) => collect(streamResumable(client, REQUEST, { signal })),
    (client: PythonClient, signal: AbortSignal) => chat(client, { messages: [] }, { signal }),
  ];
  for (const call of calls) {
    const controller = new AbortController();
    const { url } = await startServer(() => controller.abort(reason));
    const outcome = call(new PythonClient(url), controller.signal).then(
      () => "an answer",
      (error: unknown) => [error],
    );
    expect(await outcome).toEqual([reason]);
  }
});
