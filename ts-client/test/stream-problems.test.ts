import { expect, it } from "vitest";
import { chat } from "../src/chat.js";
import { isApiError, PythonClient } from "../src/index.js";
import { streamResumable } from "../src/resume.js";
import { OPENING } from "./chat.js";
import { startServer } from "./local-server.js";
import { caught, collect, encodeEvents, PROBLEM, REQUEST, START } from "./wire.js";

const CALLS = {
  streamText: (client: PythonClient) => collect(client.streamText(REQUEST)),
  streamResumable: (client: PythonClient) => collect(streamResumable(client, REQUEST)),
  chat: (client: PythonClient) => chat(client, { messages: [] }),
};

/** What each kind of call throws where this problem ends its stream. */
async function failuresBy(problem: object): Promise<[string, unknown][]> {
  const { url } = await startServer((request, response) => {
    const isChat = request.url === "/v1/chat/completions";
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.end(encodeEvents(isChat ? [OPENING, problem] : [START, { type: "error", problem }]));
  });
  const client = new PythonClient(url);
  const failures = Object.entries(CALLS).map(async ([name, call]) => [name, await caught(call(client))] as const);
  return (await Promise.all(failures)).map(([name, error]) => [name, error]);
}

it.each([undefined, null, "503"])("takes a problem whose status is %j for none of the gateway's", async (status) => {
  for (const [name, error] of await failuresBy({ ...PROBLEM, status })) {
    expect([name, isApiError(error) && [error.code, error.status]]).toEqual([name, ["upstream_protocol", 200]]);
  }
});

it("has what the type says of an error, also of a problem that leaves it out", async () => {
  const { code, status, detail } = PROBLEM;
  for (const [name, error] of await failuresBy({ code, status, detail })) {
    const { requestId, retryable, retryAfter, errors } = error as Record<string, unknown>;
    expect([name, requestId, retryable, retryAfter, errors]).toEqual([name, null, true, null, []]);
  }
});
