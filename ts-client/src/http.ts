import { parseJson } from "./contract.js";
import { abortError, ConnectionError, protocolError, statusError, TimeoutError } from "./errors.js";
import type { FetchFunction, Timeouts } from "./options.js";

const DEFAULT_TIMEOUTS = {
  headersMs: 660_000,
  bodyMs: 120_000,
  firstTokenMs: 330_000,
  idleMs: 120_000,
  totalMs: Number.POSITIVE_INFINITY,
};
const NAMES = Object.keys(DEFAULT_TIMEOUTS) as (keyof Timeouts)[];
const LONGEST_TIMER_MS = 2e9; // one of more than 2 ** 31 would go off at once

/**
 * One call: its attempts, the waits between them, and its answer. It ends at once when its caller aborts it or a timeout
 * is over, also where a `fetch` or a hook does not look at any signal. Whoever opens an exchange closes it.
 */
export class HttpExchange {
  readonly #signal: AbortSignal | undefined;
  readonly #timeouts: Timeouts;
  readonly #timers: Partial<Record<keyof Timeouts | "retry", ReturnType<typeof setTimeout>>> = {};
  readonly #ends: Partial<Record<keyof Timeouts, number | undefined>> = {}; // of the times that run
  #rejectWait: (reason: unknown) => void = () => undefined; // of the one wait that there is at a time
  // React Native's signals keep no reason, and nothing else that is newer than `aborted` and its event.
  #reason: { readonly value: unknown } | undefined;
  // `fetch` may leave a listener on its signal until that is collected, so it never gets the caller's, which may be shared.
  #attempt = new AbortController();
  #url = "";
  readonly #abortByCaller = (): void => {
    this.abort(this.#signal?.reason === undefined ? abortError() : this.#signal.reason);
  };

  constructor(signal: AbortSignal | undefined, timeouts: Timeouts) {
    this.#signal = signal;
    this.#timeouts = timeouts;
    for (const which of NAMES) this.#milliseconds(which); // before the gateway has begun what could not be read
    this.start("totalMs");
    signal?.addEventListener("abort", this.#abortByCaller);
    if (signal?.aborted) this.#abortByCaller();
  }

  /** Aborts the exchange with a TimeoutError when this time is over; it begins anew with each call. */
  start(which: keyof Timeouts, left: number = this.#milliseconds(which)): void {
    this.#ends[which] = performance.now() + left;
    this.#startTimer(which, left, () => this.abort(new TimeoutError(which, this.#milliseconds(which))));
  }

  stop(which: keyof Timeouts): void {
    clearTimeout(this.#timers[which]);
    this.#ends[which] = undefined;
  }

  /** For as long as its caller has something to do. Returns what has the time go on, if it ran. */
  pause(which: keyof Timeouts): () => void {
    const end = this.#ends[which];
    this.stop(which);
    const left = end && end - performance.now();
    return () => left !== undefined && this.start(which, left);
  }

  /** When an event is here: how long the caller takes is no fault of the gateway's. Returns what waits for the next one. */
  handOver(hasText: boolean): () => void {
    this.stop("idleMs");
    if (hasText) this.stop("firstTokenMs");
    const goOn = this.pause("firstTokenMs");
    return () => {
      goOn();
      this.start("idleMs");
    };
  }

  /** Throws why the exchange was aborted, if it was: by its caller, or by a timer. */
  throwIfAborted(): void {
    if (this.#reason !== undefined) throw this.#reason.value;
  }

  /**
   * Waits for what a caller's own function gives.
   *
   * @throws What that throws, or as soon as the exchange is aborted, why it was.
   */
  async waitFor<Result>(step: () => Result | Promise<Result>): Promise<Result> {
    this.throwIfAborted();
    return await new Promise<Result>((resolve, reject) => {
      this.#rejectWait = reject;
      (async () => resolve(await step()))().catch(reject);
    });
  }

  /** Waits before another attempt. */
  async sleep(milliseconds: number): Promise<void> {
    await this.waitFor(() => new Promise<void>((resolve) => this.#startTimer("retry", milliseconds, resolve)));
  }

  /** Whether this much time is left of the whole. */
  hasTime(milliseconds: number): boolean {
    return performance.now() + milliseconds < (this.#ends.totalMs ?? 0);
  }

  /** Makes an attempt, and returns its answer as soon as the head is here. */
  async send(fetch: FetchFunction, url: string, request: RequestInit): Promise<Response> {
    this.#url = url;
    this.#attempt = new AbortController();
    this.start("headersMs");
    try {
      return await this.#waitForNetwork(() => fetch(url, { ...request, signal: this.#attempt.signal }));
    } finally {
      this.stop("headersMs");
    }
  }

  /** The error for an answer whose head says that it is a failure, also where its body breaks or never ends. */
  async readFailure(response: Response): Promise<Error> {
    const body = await this.waitFor(
      () =>
        new Promise<string>((resolve) => {
          this.#startTimer("bodyMs", this.#milliseconds("bodyMs"), () => resolve(""));
          response.text().then(resolve, () => resolve(""));
        }),
    );
    this.stop("bodyMs");
    this.#attempt.abort();
    return statusError(response, body);
  }

  /** Reads the body of an answer that has to be JSON which `isExpected`. */
  async readJson<Body>(response: Response, isExpected: (body: unknown) => body is Body): Promise<Body> {
    this.start("bodyMs");
    const text = await this.#waitForNetwork(() => response.text());
    this.stop("bodyMs");
    const body = parseJson(text);
    if (isExpected(body)) return body;
    throw protocolError(response, text.slice(0, 100));
  }

  /** Stops whatever is still under way, but for the reading of an answer's end: that keeps its connection for the next. */
  close(isAnswered = false): void {
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.#signal?.removeEventListener("abort", this.#abortByCaller);
    if (!isAnswered) this.#attempt.abort();
  }

  /** Ends the call with this reason, whatever of it is under way. */
  abort(reason: unknown): void {
    if (this.#reason !== undefined) return;
    this.#reason = { value: reason };
    this.#rejectWait(reason);
    this.#attempt.abort();
  }

  #milliseconds(which: keyof Timeouts): number {
    const milliseconds = this.#timeouts[which] ?? DEFAULT_TIMEOUTS[which];
    if (milliseconds > 0) return milliseconds;
    throw new TypeError(`${which} is ${milliseconds}: it has to be more than 0 milliseconds`);
  }

  #startTimer(which: keyof Timeouts | "retry", milliseconds: number, end: () => void): void {
    clearTimeout(this.#timers[which]);
    this.#timers[which] = setTimeout(end, Math.min(Math.max(0, milliseconds), LONGEST_TIMER_MS));
  }

  async #waitForNetwork<Result>(step: () => Promise<Result>): Promise<Result> {
    try {
      return await this.waitFor(step);
    } catch (cause) {
      this.throwIfAborted();
      throw new ConnectionError(this.#url, { cause });
    }
  }
}
