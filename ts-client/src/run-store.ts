import type { CallOptions, RetryHook } from "./options.js";
import type { GenerationResponse, StartEvent } from "./schema.gen.js";

const FRAME_MS = 16;

/** What there is to show of a run: nothing yet, a part, or the whole of it. */
export type RunState<Nothing, Part, Whole> =
  | (State<{ readonly status: "idle" }> & Nothing)
  | (State<{ readonly status: "waiting"; readonly retrying?: GenerationRetry }> & Nothing)
  | (State<{ readonly status: "streaming"; readonly start: StartEvent }> & Part)
  | DoneState<Whole>
  | (State<{ readonly status: "stopped"; readonly start: StartEvent | undefined }> & Part)
  | (State<{ readonly status: "failed"; readonly start: StartEvent | undefined; readonly error: Error }> & Part);

/** A run whose whole answer is here. */
export type DoneState<Whole> = State<{
  readonly status: "done";
  readonly start: StartEvent;
  readonly response: GenerationResponse;
}> &
  Whole;

/** What is called when a run has ended by itself: not where it was stopped, or another one took its place. */
export interface RunCallbacks<Whole> {
  /** With the whole of it, when it is there to be seen. */
  readonly onFinish?: ((done: DoneState<Whole>) => void) | undefined;
  /** With why it failed. */
  readonly onError?: ((error: Error) => void) | undefined;
}

/** What one of the states does not have is undefined there, so that a component can take any of them apart. */
type State<Facts> = Facts & { readonly [Fact in Exclude<keyof AllFacts, keyof Facts>]?: undefined };
type AllFacts = Record<"retrying" | "start" | "response" | "error", unknown>;

/** Why nothing has come yet: an attempt failed, and the client makes another one. */
export interface GenerationRetry {
  /** What it failed with. */
  readonly error: Error;
  /** 1 for the first retry. */
  readonly number: number;
  /** How long the client waits before it, in milliseconds. */
  readonly delayMs: number;
}

/** How a run goes on: one start, any number of parts, each with all that came before it, and the whole. */
export type RunStep<Part, Whole> =
  | StartEvent
  | { readonly type: "part"; readonly part: Part }
  | { readonly type: "done"; readonly whole: Whole; readonly response: GenerationResponse };

/** One run at a time, as a store that any framework can follow: it tells its listeners once a frame at most. */
export abstract class RunStore<Request, Nothing extends Part, Part extends object, Whole extends object> {
  callbacks: RunCallbacks<Whole> = {};
  readonly #nothing: Nothing;
  #state: RunState<Nothing, Part, Whole>;
  #part: Part;
  #start: StartEvent | undefined;
  #request: Request | undefined;
  #controller: AbortController | undefined;
  #frame: ReturnType<typeof setTimeout> | undefined;
  readonly #listeners = new Set<() => void>();

  constructor(nothing: Nothing) {
    this.#nothing = nothing;
    this.#part = nothing;
    this.#state = { status: "idle", ...nothing };
  }

  /** The steps of a request. They end when the signal is aborted. */
  protected abstract steps(request: Request, options: CallOptions): AsyncIterable<RunStep<Part, Whole>>;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly getState = (): RunState<Nothing, Part, Whole> => this.#state;

  /** The last one. */
  get request(): Request | undefined {
    return this.#request;
  }

  /** Stops what runs and generates this. It resolves when that has ended, however it has, and never rejects. */
  readonly generate = async (request: Request): Promise<void> => {
    this.#cancel();
    const controller = new AbortController();
    const { signal } = controller;
    const onRetry: RetryHook = ({ number }, error, delayMs) => {
      // Of what goes on behind a lost connection, what is here stays to be seen.
      if (!signal.aborted && this.#start === undefined)
        this.#tell({ status: "waiting", retrying: { error, number: number + 1, delayMs }, ...this.#nothing });
    };
    this.#controller = controller;
    this.#request = request;
    this.#part = this.#nothing;
    this.#start = undefined;
    this.#tell({ status: "waiting", ...this.#nothing });
    try {
      for await (const step of this.steps(request, { signal, onRetry })) {
        if (signal.aborted) return; // the step may have been on its way already
        this.#take(step);
      }
    } catch (error) {
      // Who has aborted it has also said what there is to show instead.
      if (!signal.aborted) this.#fail(error as Error);
    }
  };

  /** Keeps what is here, and cancels the rest, also on the gateway. */
  readonly stop = (): void => {
    if (this.#state.status !== "waiting" && this.#state.status !== "streaming") return;
    this.#cancel();
    this.#tell({ status: "stopped", start: this.#start, ...this.#part });
  };

  /** Generates the last request again. */
  readonly retry = async (): Promise<void> => {
    if (this.#request !== undefined) await this.generate(this.#request);
  };

  #take(step: RunStep<Part, Whole>): void {
    if (step.type === "start") this.#start = step;
    if (step.type === "part") this.#part = step.part;
    if (this.#start === undefined) return;
    const start = this.#start;
    if (step.type === "done") this.#finish({ status: "done", start, response: step.response, ...step.whole });
    else this.#tellInFrame({ status: "streaming", start, ...this.#part });
  }

  // What a callback throws is no failure of the run: the page hears of it as of what a handler of an event throws.
  #finish(done: DoneState<Whole>): void {
    this.#tell(done);
    queueMicrotask(() => this.callbacks.onFinish?.(done));
  }

  #fail(error: Error): void {
    this.#tell({ status: "failed", start: this.#start, error, ...this.#part });
    queueMicrotask(() => this.callbacks.onError?.(error));
  }

  #cancel(): void {
    clearTimeout(this.#frame);
    this.#frame = undefined;
    this.#controller?.abort();
  }

  #tell(state: RunState<Nothing, Part, Whole>): void {
    clearTimeout(this.#frame);
    this.#frame = undefined;
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }

  /** A timer and no animation frame: that would never come in a tab that is not seen. */
  #tellInFrame(state: RunState<Nothing, Part, Whole>): void {
    this.#state = state;
    this.#frame ??= setTimeout(() => this.#tell(this.#state), FRAME_MS);
  }
}
