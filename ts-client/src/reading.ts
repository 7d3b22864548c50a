/** How far events are read that take several requests. */
export class Reading {
  isLast = false;
  isLeft = false;
  readonly #controller = new AbortController();
  readonly #signal: AbortSignal | undefined;
  readonly #abort = (): void => this.#controller.abort(this.#signal?.reason);

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  /** Only when the first event is asked for: nobody would close what is never read. */
  open(): void {
    this.#signal?.addEventListener("abort", this.#abort);
    if (this.#signal?.aborted) this.#abort();
  }

  /** Of the caller, and of who leaves. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  leave(): void {
    this.isLeft = !this.isLast;
    if (this.isLeft) this.#controller.abort();
  }

  close(): void {
    this.#signal?.removeEventListener("abort", this.#abort);
  }
}
