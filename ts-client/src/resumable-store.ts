import type { PythonClient } from "./client.js";
import { member, parseJson } from "./contract.js";
import { GenerationStore, type Text, textSteps } from "./generation-store.js";
import type { CallOptions } from "./options.js";
import { type StreamPosition, streamResumable } from "./resume.js";
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
  #from: StreamPosition | undefined;

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
    if (this.#kept === undefined || (status !== "waiting" && status !== "streaming")) return;
    try {
      sessionStorage.setItem(this.#key, JSON.stringify(this.#kept));
    } catch {
      // A session that is full, or forbidden: then nothing can go on.
    }
  };

  /** Cancels what runs, and leaves it to who comes next. */
  readonly leave = (): void => {
    this.keep();
    this.stop();
  };

  protected override async *steps(
    request: GenerationRequest,
    options: CallOptions,
  ): AsyncIterable<RunStep<Text, Text>> {
    const from = this.#from;
    this.#from = undefined;
    this.#kept = from && { request, position: from };
    const onPosition = (position: StreamPosition | undefined): void => {
      this.#kept = position && { request, position };
    };
    try {
      yield* textSteps(streamResumable(this.client, request, { ...options, from, onPosition }));
    } finally {
      this.#kept = undefined;
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
