import { afterEach, expect, it, vi } from "vitest";
import { GenerationStore } from "../src/generation-store.js";
import { PythonClient } from "../src/index.js";
import { caught, REQUEST } from "./wire.js";

afterEach(() => {
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
});

function refuse(): never {
  throw new Error("NotCapable");
}

it("finds the gateway by its options, its environment or its default", () => {
  expect(new PythonClient({ baseUrl: "http://options/" }).baseUrl).toBe("http://options");
  vi.stubEnv("TORCHBRIDGE_BASE_URL", "");
  expect(new PythonClient().baseUrl).toBe("http://localhost:8000");
  vi.stubEnv("TORCHBRIDGE_BASE_URL", "http://environment");
  expect(new PythonClient().baseUrl).toBe("http://environment");
  expect(new PythonClient("http://argument", { apiKey: "k" }).baseUrl).toBe("http://argument");
});

it.each([
  ["there is no environment", undefined],
  ["nobody may look at it, as in Deno without a permission", { env: new Proxy({}, { get: refuse }) }],
])("finds it also where %s", (_, process) => {
  vi.stubGlobal("process", process);
  const { baseUrl } = new PythonClient();
  vi.unstubAllGlobals();
  expect(baseUrl).toBe("http://localhost:8000");
});

it("takes the page's own server, and not what runs on its visitor's machine", () => {
  vi.stubGlobal("location", new URL("https://app.example.com/story"));
  expect(new PythonClient().baseUrl).toBe("/api");
  expect(new PythonClient("/other/").baseUrl).toBe("/other");
});

it.each([
  "localhost:8000",
  "gateway.example.com",
  "api",
  "./api",
  "",
  "ftp://gateway",
  "http://",
  "http:gateway",
  "http://gateway:99999",
  "http://gate way",
  "http://gateway/?tenant=a",
  "http://gateway/#a",
  "http://ada:secret@gateway",
  "http://ada:secret@gateway/api@1",
  "http:///ada:secret@gateway",
  "http:/ada:secret@gateway",
  "//ada:secret@gateway/api",
  "/\\ada:secret@gateway/api",
])("refuses %j at once", (address) => {
  expect(() => new PythonClient(address)).toThrow(TypeError);
  expect(() => new PythonClient(address)).toThrow(/^Not the address of a gateway(?!.*secret)/);
  vi.stubEnv("TORCHBRIDGE_BASE_URL", address);
  if (address !== "") expect(() => new PythonClient()).toThrow(TypeError);
});

it.each(["http://gateway/api@2", "https://gateway:8000/a/@b", "/api@2"])("takes %j, which has no user", (address) => {
  expect(new PythonClient(address).baseUrl).toBe(address);
});

it("takes an address that is a URL, and refuses it as it does a text", () => {
  expect(new PythonClient(new URL("http://gateway/api/")).baseUrl).toBe("http://gateway/api");
  expect(new PythonClient(new URL("http://gateway"), { apiKey: "k" }).baseUrl).toBe("http://gateway");
  expect(new PythonClient({ baseUrl: new URL("http://gateway") }).baseUrl).toBe("http://gateway");
  for (const address of ["http://ada:secret@gateway", "http://gateway/?a=1", "ftp://gateway"])
    expect(() => new PythonClient(new URL(address))).toThrow(/^Not the address of a gateway(?!.*secret)/);
});

it("refuses an address without a host where there is no page, and only when it is called", async () => {
  const retries: unknown[] = [];
  const client = new PythonClient("/api", { onRetry: (attempt) => retries.push(attempt) }); // as a page does that a server renders
  const error = await caught(client.generateText(REQUEST));
  expect(error).toBeInstanceOf(TypeError);
  expect(String(error)).toContain("/api/generate");
  expect(retries).toEqual([]);
});

it("calls the page's own server where there is one", async () => {
  const urls: unknown[] = [];
  vi.stubGlobal("location", new URL("https://app.example.com/story"));
  vi.stubGlobal("fetch", async (url: string) => {
    urls.push(url);
    return Response.json({ models: [] });
  });
  await new PythonClient().models();
  expect(urls).toEqual(["/api/models"]);
});

it("says at once that there is no fetch", async () => {
  vi.stubGlobal("fetch", undefined);
  const retries: unknown[] = [];
  const client = new PythonClient("http://gateway", { onRetry: (attempt) => retries.push(attempt) });
  expect(await caught(client.models())).toBeInstanceOf(TypeError);
  expect(retries).toEqual([]);
});

it("shows a component why its address is none", async () => {
  const store = new GenerationStore(new PythonClient("/api"));
  await store.generate(REQUEST);
  expect(store.getState()).toMatchObject({ status: "failed", error: expect.any(TypeError) });
});
