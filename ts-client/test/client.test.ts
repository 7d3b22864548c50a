import { getEventListeners } from "node:events";
import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import { describe, expect, expectTypeOf, it } from "vitest";
import {
  ApiError,
  ConnectionError,
  type DeltaEvent,
  type DoneEvent,
  type GenerationResponse,
  PythonClient,
  type StartEvent,
  StreamTruncatedError,
} from "../src/index.js";
import { closedUrl, readBody, sendJson, startServer } from "./local-server.js";
import { collect, DELTAS, DONE, ERROR, encodeEvents, PROBLEM, RESPONSE, START, WHOLE_STREAM } from "./wire.js";

const REQUEST = { prompt: "Hello" };
const caught = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

function startEventStream(response: ServerResponse, events: readonly object[]): void {
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
  response.write(encodeEvents(events));
}

/** A server that leaves every stream open after these events, and the moment at which its client has gone. */
async function startEndlessStream(events: readonly object[]): Promise<{ url: string; disconnected: Promise<void> }> {
  const { promise: disconnected, resolve } = Promise.withResolvers<void>();
  const { url } = await startServer((_, response) => {
    response.on("close", resolve);
    startEventStream(response, events);
  });
  return { url, disconnected };
}

describe("generateText", () => {
  it("runs the snippet of the guide", async () => {
    const prompt = "Once upon a time";
    const bodies: string[] = [];
    const server = await startServer(async (request, response) => {
      bodies.push(`${request.method} ${request.url} ${await readBody(request)}`);
      sendJson(response, 200, RESPONSE);
    });

    const client = new PythonClient(server.url);
    const r = await client.generateText({ prompt, max_length: 100, temperature: 0.7 });

    expect([r.text, r.tokens_generated, r.generation_time]).toEqual([RESPONSE.text, 2, 0.25]);
    expect(bodies).toEqual(['POST /generate {"prompt":"Once upon a time","max_length":100,"temperature":0.7}']);
    expectTypeOf(r).toEqualTypeOf<GenerationResponse>();
  });

  it("throws an ApiError that carries the problem", async () => {
    const server = await startServer((_, response) => sendJson(response, 503, PROBLEM, "application/problem+json"));
    const error = await caught(new PythonClient(server.url).generateText(REQUEST));
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ message: `API error: ${PROBLEM.detail}`, code: "overloaded", problem: PROBLEM });
  });

  it("throws an ApiError when a proxy answers in place of the gateway", async () => {
    const server = await startServer((_, response) => {
      response.writeHead(502, { "content-type": "text/html" });
      response.end("<html><h1>502 Bad Gateway</h1></html>");
    });
    const error = await caught(new PythonClient(server.url).generateText(REQUEST));
    expect(error).toMatchObject({
      message: "API error: HTTP 502 Bad Gateway",
      code: "upstream_protocol",
      retryable: true,
    });
  });

  it.each(["<html>Please log in</html>", '{"status": "ok"}'])(
    "throws an ApiError when the answer is %s",
    async (body) => {
      const server = await startServer((_, response) => response.end(body));
      const error = await caught(new PythonClient(server.url).generateText(REQUEST));
      expect(error).toMatchObject({ name: "ApiError", code: "upstream_protocol", status: 200 });
      expect(error).toHaveProperty("message", expect.stringContaining(body));
    },
  );

  it("throws a ConnectionError with the address and the cause when nobody listens", async () => {
    const url = await closedUrl();
    const error = await caught(new PythonClient(url).generateText(REQUEST));
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ url: `${url}/generate`, cause: expect.any(TypeError) });
    expect(error).toHaveProperty("message", expect.stringContaining(url));
  });

  it("throws a ConnectionError when the connection breaks within the answer", async () => {
    const server = await startServer((_, response) => {
      response.writeHead(200, { "content-length": 1_000 });
      response.write('{"text":', () => response.destroy());
    });
    await expect(new PythonClient(server.url).generateText(REQUEST)).rejects.toBeInstanceOf(ConnectionError);
  });

  it("throws an ApiError with the status when the connection breaks within the body of a failure", async () => {
    const server = await startServer((_, response) => {
      response.writeHead(503, { "content-length": 1_000 });
      response.write('{"detail":', () => response.destroy());
    });
    await expect(new PythonClient(server.url).generateText(REQUEST)).rejects.toMatchObject({
      name: "ApiError",
      status: 503,
    });
  });

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
    const disconnected = Promise.withResolvers<void>();
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
    const client = new PythonClient(server.url);
    const { signal } = new AbortController();
    await Promise.all([1, 2, 3].map(() => client.generateText(REQUEST, { signal })));
    await caught(client.models({ signal }));
    await caught(collect(client.streamText(REQUEST, { signal })));
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});

describe("streamText", () => {
  it("yields the events of a stream, typed, and returns after done", async () => {
    const seen: string[] = [];
    const server = await startServer(async (request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers.accept} ${await readBody(request)}`);
      startEventStream(response, WHOLE_STREAM);
      response.end();
    });
    const events = await collect(new PythonClient(server.url).streamText(REQUEST));
    expect(events).toEqual(WHOLE_STREAM);
    expect(seen).toEqual(['POST /generate/stream text/event-stream {"prompt":"Hello"}']);
    expectTypeOf(events).toEqualTypeOf<(StartEvent | DeltaEvent | DoneEvent)[]>();
  });

  it("yields each event as soon as it is here", async () => {
    const received = Promise.withResolvers<void>();
    const server = await startServer(async (_, response) => {
      startEventStream(response, [START]);
      await received.promise;
      response.end(encodeEvents([...DELTAS, DONE]));
    });
    const types: string[] = [];
    for await (const event of new PythonClient(server.url).streamText(REQUEST)) {
      types.push(event.type);
      received.resolve();
    }
    expect(types).toEqual(["start", "delta", "delta", "done"]);
  });

  it("throws the problem of an answer that is a failure from the start", async () => {
    const server = await startServer((_, response) => sendJson(response, 503, PROBLEM, "application/problem+json"));
    const error = await caught(collect(new PythonClient(server.url).streamText(REQUEST)));
    expect(error).toMatchObject({ name: "ApiError", problem: PROBLEM });
  });

  it("throws the problem of an error event after the events before it", async () => {
    const server = await startServer((_, response) => {
      startEventStream(response, [START, ...DELTAS, ERROR]);
      response.end();
    });
    const events: unknown[] = [];
    const error = await caught(
      (async () => {
        for await (const event of new PythonClient(server.url).streamText(REQUEST)) events.push(event);
      })(),
    );
    expect(error).toMatchObject({ name: "ApiError", code: "overloaded", status: 503, problem: PROBLEM });
    expect(events).toEqual([START, ...DELTAS]);
  });

  it.each([
    ["ends", (response: ServerResponse) => response.end()],
    ["breaks", (response: ServerResponse) => response.destroy()],
  ])("throws a StreamTruncatedError with the text so far when the stream %s before done", async (_, stop) => {
    const received = Promise.withResolvers<void>();
    const server = await startServer(async (_request, response) => {
      startEventStream(response, [START, ...DELTAS]);
      await received.promise;
      stop(response);
    });
    const events = new PythonClient(server.url).streamText(REQUEST);
    const error = await caught(
      (async () => {
        for await (const event of events) if (event.type === "delta" && event.index === 1) received.resolve();
      })(),
    );
    expect(error).toBeInstanceOf(StreamTruncatedError);
    expect(error).toHaveProperty("text", RESPONSE.text);
  });

  it("disconnects from the server when the loop is left early", async () => {
    const { url, disconnected } = await startEndlessStream([START, ...DELTAS]);
    const { signal } = new AbortController();
    for await (const event of new PythonClient(url).streamText(REQUEST, { signal })) {
      if (event.type === "delta") break;
    }
    await disconnected;
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it("disconnects from the server when the loop throws", async () => {
    const { url, disconnected } = await startEndlessStream([START]);
    const failure = new Error("the page is gone");
    const error = await caught(
      (async () => {
        for await (const _ of new PythonClient(url).streamText(REQUEST)) throw failure;
      })(),
    );
    expect(error).toBe(failure);
    await disconnected;
  });

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

  it("sends nothing before its first event is asked for", async () => {
    const server = await startServer((_, response) => response.end());
    await new PythonClient(server.url).streamText(REQUEST).return();
    expect(server.connections).toBe(0);
  });

  it("returns after done also when the server does not end its answer", async () => {
    const { url, disconnected } = await startEndlessStream(WHOLE_STREAM);
    expect(await collect(new PythonClient(url).streamText(REQUEST))).toEqual(WHOLE_STREAM);
    await disconnected;
  });

  it("leaves the connection to the next request when the server ends its answer after done", async () => {
    let endAnswer = (): void => undefined;
    const server = await startServer((_, response) => {
      endAnswer = () => response.end();
      startEventStream(response, WHOLE_STREAM);
    });
    for (let stream = 0; stream < 10; stream += 1) {
      for await (const event of new PythonClient(server.url).streamText(REQUEST))
        if (event.type === "done") endAnswer();
    }
    expect(server.connections).toBeLessThan(5);
  });

  it("disconnects from a server whose answer is not an event stream", async () => {
    const disconnected = Promise.withResolvers<void>();
    const server = await startServer((_, response) => {
      response.on("close", disconnected.resolve);
      response.writeHead(200, { "content-type": "text/html" });
      response.write("<html>");
    });
    await expect(collect(new PythonClient(server.url).streamText(REQUEST))).rejects.toBeInstanceOf(ApiError);
    await disconnected.promise;
  });
});

describe("models", () => {
  it("lists the models", async () => {
    const list = {
      models: [
        { name: "tiny", default_version: "1.0", versions: [{ version: "1.0", is_default: true, ready_workers: 1 }] },
      ],
    };
    const server = await startServer((request, response) => {
      sendJson(response, request.method === "GET" && request.url === "/models" ? 200 : 404, list);
    });
    expect(await new PythonClient(server.url).models()).toEqual(list);
  });
});

describe("PythonClient", () => {
  async function startHeaderRecorder(): Promise<{ url: string; received: IncomingHttpHeaders[] }> {
    const received: IncomingHttpHeaders[] = [];
    const { url } = await startServer((request, response) => {
      received.push(request.headers);
      sendJson(response, 200, RESPONSE);
    });
    return { url, received };
  }

  it("sends its headers and its key with every request", async () => {
    const { url, received } = await startHeaderRecorder();
    const client = new PythonClient(url, { apiKey: "secret", headers: { "x-tenant": "a", accept: "text/plain" } });
    await client.generateText(REQUEST);
    expect(received).toEqual([
      expect.objectContaining({
        authorization: "Bearer secret",
        "x-tenant": "a",
        accept: "application/json",
        "content-type": "application/json",
      }),
    ]);
  });

  it("sends no authorization without a key", async () => {
    const { url, received } = await startHeaderRecorder();
    await new PythonClient(url).generateText(REQUEST);
    expect(received[0]).not.toHaveProperty("authorization");
  });

  it("takes a base URL with or without slashes at its end", async () => {
    const { url, received } = await startHeaderRecorder();
    await new PythonClient(`${url}//`).generateText(REQUEST);
    expect(received).toHaveLength(1);
    expect(new PythonClient(`${url}/`).baseUrl).toBe(url);
    expect(new PythonClient().baseUrl).toBe("http://localhost:8000");
  });

  it("calls the fetch that it is given, also one that fails before it returns a promise", async () => {
    const urls: unknown[] = [];
    const client = new PythonClient("/api", {
      fetch: (input) => {
        urls.push(input);
        throw new TypeError("no network here");
      },
    });
    await expect(client.generateText(REQUEST)).rejects.toBeInstanceOf(ConnectionError);
    expect(urls).toEqual(["/api/generate"]);
  });
});
