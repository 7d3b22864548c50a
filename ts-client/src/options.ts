import type { StreamEvent } from "./contract.js";
import type { ResponseHead } from "./response-head.js";
import type { GenerationResponse } from "./schema.gen.js";

/** What `fetch` is in this environment. */
export type FetchFunction = typeof globalThis.fetch;

/** Headers, in each form that `fetch` takes. What is empty is not sent. */
export type RequestHeaders = Headers | readonly (readonly [string, string])[] | Readonly<Record<string, string>>;

/** What a validator such as Zod, Valibot or ArkType offers: https://standardschema.dev. */
export interface StandardSchema<Output> {
  /** The part of it that this package calls. */
  readonly "~standard": {
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
  };
}

/** What a validator says of a value: what it is, or what is wrong with it. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string }[] };

/** In milliseconds. What is left out has its default; `Infinity` is no limit. */
export interface Timeouts {
  /** Until the head of the answer, which the gateway sends with the first text or the whole answer. 660,000. */
  readonly headersMs?: number | undefined;
  /** Of the body of an answer that is no stream, a failure's too. 120,000. */
  readonly bodyMs?: number | undefined;
  /** Of a stream, from its request to its first text. 330,000. */
  readonly firstTokenMs?: number | undefined;
  /** Of a stream, between two events. The comments that keep a silent connection open do not count. 120,000. */
  readonly idleMs?: number | undefined;
  /** Of the whole call: all attempts, the waits between them, and a stream to its last event. No limit. */
  readonly totalMs?: number | undefined;
}

/** One attempt of a call; a call that is tried again has several. */
export interface Attempt {
  /** Where it goes. */
  readonly url: string;
  /** 0 for the first. */
  readonly number: number;
}

/** Where a client writes what it does: `console`, or a logger of that shape. Nothing in it is secret, or a prompt. */
export interface Logger {
  /** Each answer: its `url`, `number`, `status`, `requestId` and `ms`. */
  debug(message: string, facts: object): void;
  /** Each attempt that is tried again: its `url`, `number`, `error` and `delayMs`. */
  warn(message: string, facts: object): void;
}

/** All that a client can be told. Everything has a default. */
export interface PythonClientOptions {
  /**
   * Where the gateway is, a text or a URL; in a browser it may be a path of the page's own server, such as `/api`. Left out, it is the
   * environment variable TORCHBRIDGE_BASE_URL, or in a browser `/api`, or `http://localhost:8000`.
   */
  readonly baseUrl?: string | URL | undefined;
  /**
   * Goes out as `authorization: Bearer …`, unless `headers` has one. A function is asked before each attempt, for keys that
   * do not last. Left out, it is the environment variable TORCHBRIDGE_API_KEY, but not in a browser: a key in code that a
   * browser runs is public. "" is none.
   */
  readonly apiKey?: string | (() => string | Promise<string>) | undefined;
  /** Go out with every request. */
  readonly headers?: RequestHeaders | undefined;
  /** Takes the place of the global `fetch`, for example to trace calls. It has to respect `signal`. */
  readonly fetch?: FetchFunction | undefined;
  /**
   * How often a call that failed before any event is tried again, where that may help. 2. An answer that asks for more than
   * 60 seconds of patience is an error at once.
   */
  readonly maxRetries?: number | undefined;
  /** Each cancels the request and makes the call throw a TimeoutError, which is not tried again. */
  readonly timeouts?: Timeouts | undefined;
  /** Check what the gateway sends, whole: by itself the client looks only at what it relies on. */
  readonly schemas?:
    | {
        readonly response?: StandardSchema<GenerationResponse> | undefined;
        readonly event?: StandardSchema<StreamEvent> | undefined;
      }
    | undefined;
  /** Hears of each answer, and of each retry. `console` writes them all. */
  readonly logger?: Logger | undefined;
  /** Before each attempt. It may change the headers. As with each hook, it is waited for, and what it throws the call throws. */
  readonly onRequest?: ((attempt: Attempt, headers: Headers) => unknown) | undefined;
  /** When the head of an answer is here, a failure's too. */
  readonly onResponse?: ((attempt: Attempt, head: ResponseHead) => unknown) | undefined;
  /** Before the wait for the next attempt. */
  readonly onRetry?: RetryHook | undefined;
}

/** Hears why an attempt failed, and after how many milliseconds the next one comes. */
export type RetryHook = (attempt: Attempt, error: Error, delayMs: number) => unknown;

/** What one call can be told beside its request. */
export interface CallOptions {
  /** Aborting it cancels the request, also on the gateway, and makes the call throw the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Goes out as `idempotency-key`, the same in each attempt, for proxies that know it: the gateway does not look. */
  readonly idempotencyKey?: string | undefined;
  /** Go out with this call, in place of the client's of the same names. */
  readonly headers?: RequestHeaders | undefined;
  /** As many milliseconds as the whole call may take, retries and all; or timeouts in place of the client's. */
  readonly timeout?: number | Timeouts | undefined;
  /** In place of the client's. */
  readonly maxRetries?: number | undefined;
  /** After the client's. */
  readonly onRetry?: RetryHook | undefined;
}
