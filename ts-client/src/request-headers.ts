import { environment, hasPage } from "./environment.js";
import type { CallOptions, PythonClientOptions, RequestHeaders } from "./options.js";

/** The client's, those of the call, and what neither can change. */
export async function requestHeaders(
  { apiKey, headers: own }: PythonClientOptions,
  { headers, idempotencyKey }: CallOptions,
  accept: string,
  body: object | undefined,
): Promise<Headers> {
  const all = new Headers();
  setHeaders(all, { authorization: await authorization(apiKey) });
  setHeaders(all, own);
  setHeaders(all, { "idempotency-key": idempotencyKey });
  setHeaders(all, headers);
  setHeaders(all, { accept, "content-type": body && "application/json" });
  return all;
}

/** In place of those of the same names. @throws TypeError where a value is none that a request can carry, without the value. */
export function setHeaders(all: Headers, added: RequestHeaders | Record<string, string | undefined> = {}): void {
  const own = new Headers(); // a name that comes twice has both values, as with `fetch`
  const isIterable = Symbol.iterator in added;
  for (const [name, value] of isIterable ? (added as Iterable<[string, string]>) : Object.entries(added)) {
    try {
      if (value) own.append(name, value);
    } catch {
      throw new TypeError(`The header ${name} has a name or a value that no request can carry`); // it may be a secret
    }
  }
  own.forEach((value, name) => {
    all.set(name, value);
  });
}

/** By the environment's key where none is given, but not in a page: whatever is there for an environment is public. */
export async function authorization(given: PythonClientOptions["apiKey"]): Promise<string | undefined> {
  const apiKey = given ?? (hasPage() ? undefined : environment("TORCHBRIDGE_API_KEY"));
  const key = typeof apiKey === "function" ? await apiKey() : apiKey;
  return key && `Bearer ${key}`;
}
