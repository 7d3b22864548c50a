import { expect, it } from "vitest";
import { PythonClient } from "../src/index.js";
import { sendJson, startServer } from "./local-server.js";

it("lists the models", async () => {
  const version = {
    version: "1.0",
    is_default: true,
    ready_workers: 1,
    sampling_defaults: { temperature: 1, top_p: null, top_k: null, repetition_penalty: null },
  };
  const list = { models: [{ name: "tiny", default_version: "1.0", versions: [version] }] };
  const server = await startServer((request, response) => {
    sendJson(response, request.method === "GET" && request.url === "/models" ? 200 : 404, list);
  });
  expect(await new PythonClient(server.url).models()).toEqual(list);
});
