import { expect, it } from "vitest";
import { PythonClient } from "../src/index.js";
import { sendJson, startServer } from "./local-server.js";

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
