import type { PythonClient } from "./client.js";
import { member, parseJson } from "./contract.js";
import { GenerationStore, type Text, textSteps } from "./generation-store.js";
import type { CallOptions } from "./options.js";
import { type StreamPosition, stopStream, streamResumable } from "./resume.js";
import type { RunStep } from "./run-store.js";
import type { GenerationRequest } from "./schema.gen.js";

/** What is kept of a generation that is under way. */
interface Kept {
  readonly request: GenerationRequest;
  readonly position: StreamPosition;
}

/** A generation that outlives its connection, and its page: what is needed to go on is in the page's session. */
export class ResumableStore extends GenerationStore {
  readonly #key: string;
  #kept: Kept | undefined;
  #isWritten = false;
  #from: StreamPosition | undefined;
  #signal: AbortSignal | undefined; // of what runs
  #left: AbortSignal | undefined;

  /** @param key Under which the session keeps it. */
  constructor(client: PythonClient, key: string) {
    super(client);
    this.#key = `torchbridge:${key}`;
  }

  /** Goes on with what another page, or this component before, has left. */
  readonly resume = (): void => {
    const kept = this.#taken();
    if (kept === undefined) return;
    this.#from = kept.position;
    void this.generate(kept.request);
  };

  /** Writes down where it is, for the page that comes next. */
  readonly keep = (): void => {
    const { status } = this.getState();
    const isUnderWay = this.#kept !== undefined && (status === "waiting" || status === "streaming");
    try {
      if (isUnderWay) sessionStorage.setItem(this.#key, JSON.stringify(this.#kept));
      else if (this.#isWritten) sessionStorage.removeItem(this.#key); // the page was hidden then, and is shown again
      this.#isWritten = isUnderWay;
    } catch {
      // A session that is full, or forbidden: then nothing can go on.
    }
  };

  /** Cancels what runs, and leaves it to who comes next. */
  readonly leave = (): void => {
    this.keep();
    this.#left = this.#signal;
    this.stop();
  };

  protected override async *steps(
    request: GenerationRequest,
    options: CallOptions,
  ): AsyncIterable<RunStep<Text, Text>> {
    const from = this.#from;
    const { signal } = options;
    this.#from = undefined;
    this.#signal = signal;
    this.#kept = from && { request, position: from };
    let kept = from;
    const onPosition = (position: StreamPosition | undefined): void => {
      kept = position;
      this.#kept = position && { request, position };
    };
    try {
      yield* textSteps(streamResumable(this.client, request, { ...options, from, runsOn: true, onPosition }));
    } finally {
      if (kept !== undefined && signal?.aborted && signal !== this.#left) {
        void stopStream(this.client, kept).catch(() => undefined); // what is not heard ends by itself
      }
      if (this.#signal === signal) this.#kept = undefined;
    }
  }

  #taken(): Kept | undefined {
    try {
      const kept = parseJson(sessionStorage.getItem(this.#key) ?? "");
      sessionStorage.removeItem(this.#key);
      return member(member(kept, "position"), "lastEventId") ? (kept as Kept) : undefined;
    } catch {
      return undefined;
    }
  }
}
