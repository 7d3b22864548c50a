import { describe, expect, it, onTestFinished, vi } from "vitest";
import { createGenerateRoute } from "../src/next.js";
import { ask, startGateway } from "./asked-route.js";
import { caught } from "./wire.js";

describe("a failure of the server's own", () => {
  const failure = new Error("the session store is gone: password hunter2");
  const fail = (): never => {
    throw failure;
  };

  it.each([
    ["prepare", { prepare: fail }],
    ["prepare, later", { prepare: async () => fail() }],
    ["headers", { headers: fail }],
    ["the key", { apiKey: fail }],
  ])("is a problem where it is of %s, and the server's log has it", async (_, options) => {
    const { url, asked } = await startGateway();
    const heard: unknown[] = [];
    const onError = (error: unknown): void => {
      heard.push(error);
      throw new Error("the log is full, too");
    };
    const response = await createGenerateRoute({ baseUrl: url, onError, ...options })(ask());
    const body = await response.text();
    expect([response.status, JSON.parse(body)]).toEqual([500, expect.objectContaining({ code: "internal" })]);
    expect(body).not.toContain("hunter2");
    expect([heard, asked]).toEqual([[failure], []]);
  });

  it("shows no secret of a key that cannot be sent", async () => {
    const heard: string[] = [];
    const onError = (error: unknown): void => void heard.push(String(error));
    const route = createGenerateRoute({ baseUrl: "http://unused", apiKey: "line 1\nline 2", onError });
    expect((await route(ask())).status).toBe(500);
    expect(heard).toEqual([expect.stringContaining("authorization")]);
    expect(heard.join()).not.toContain("line");
  });

  it("is written to the console where nobody hears it", async () => {
    const written = vi.spyOn(console, "error").mockImplementation(() => undefined);
    onTestFinished(() => written.mockRestore());
    await createGenerateRoute({ baseUrl: "http://unused", prepare: fail })(ask());
    expect(written.mock.calls).toEqual([["torchbridge: the route failed", failure]]);
  });

  it("is an address that is none", async () => {
    expect(() => createGenerateRoute({ baseUrl: "localhost:8000" })).toThrow(TypeError);
    expect(() => createGenerateRoute({ baseUrl: "/api" })).toThrow(TypeError);
    vi.stubEnv("TORCHBRIDGE_BASE_URL", "localhost:8000");
    onTestFinished(() => void vi.unstubAllEnvs());
    const heard: unknown[] = [];
    const response = await createGenerateRoute({ onError: (error) => heard.push(error) })(ask());
    expect([response.status, heard]).toEqual([500, [expect.any(TypeError)]]);
  });

  it("is a body that prepare forgets to return", async () => {
    const heard: unknown[] = [];
    const route = createGenerateRoute({
      baseUrl: "http://unused",
      prepare: () => undefined,
      onError: (error) => heard.push(String(error)),
    });
    expect((await route(ask())).status).toBe(500);
    expect(heard).toEqual(["TypeError: prepare was given a body and has returned none"]);
  });
});

it("leaves to Next.js what is Next.js's own", async () => {
  const redirect = Object.assign(new Error("NEXT_REDIRECT"), { digest: "NEXT_REDIRECT;replace;/login;307;" });
  const prepare = (): never => {
    throw redirect;
  };
  expect(await caught(createGenerateRoute({ baseUrl: "http://unused", prepare })(ask()))).toBe(redirect);
});
