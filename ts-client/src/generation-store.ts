import type { PythonClient } from "./client.js";
import type { RetryHook } from "./options.js";
import type { GenerationRequest, GenerationResponse, StartEvent } from "./schema.gen.js";

const FRAME_MS = 16;

/** What there is to show of a generation. `text` is all of it that is here. */
export type GenerationState =
  | { readonly status: "idle"; readonly text: "" }
  | { readonly status: "waiting"; readonly text: ""; readonly retrying?: GenerationRetry }
  | { readonly status: "streaming"; readonly text: string; readonly start: StartEvent }
  | {
      readonly status: "done";
      readonly text: string;
      readonly start: StartEvent;
      readonly response: GenerationResponse;
    }
  | { readonly status: "stopped"; readonly text: string; readonly start: StartEvent | undefined }
  | {
      readonly status: "failed";
      readonly text: string;
      readonly start: StartEvent | undefined;
      readonly error: Error;
    };

/** Why nothing has come yet: an attempt failed, and the client makes another one. */
export interface GenerationRetry {
  /** What it failed with. */
  readonly error: Error;
  /** 1 for the first retry. */
  readonly number: number;
  /** How long the client waits before it, in milliseconds. */
  readonly delayMs: number;
}

const IDLE: GenerationState = { status: "idle", text: "" };

/** One generation at a time, as a store that any framework can follow: it tells its listeners once a frame at most. */
export class GenerationStore {
  client: PythonClient;
  #state: GenerationState = IDLE;
  #request: GenerationRequest | undefined;
  #controller: AbortController | undefined;
  #frame: ReturnType<typeof setTimeout> | undefined;
  readonly #listeners = new Set<() => void>();

  constructor(client: PythonClient) {
    this.client = client;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly getState = (): GenerationState => this.#state;

  /** Stops what runs and generates this. It resolves when that has ended, however it has, and never rejects. */
  readonly generate = async (request: GenerationRequest): Promise<void> => {
    this.#cancel();
    const controller = new AbortController();
    const isStopped = (): boolean => this.#controller !== controller;
    const onRetry: RetryHook = ({ number }, error, delayMs) => {
      if (!isStopped()) this.#tell({ status: "waiting", text: "", retrying: { error, number: number + 1, delayMs } });
    };
    this.#request = request;
    this.#controller = controller;
    this.#tell({ status: "waiting", text: "" });
    let text = "";
    let start: StartEvent | undefined;
    try {
      for await (const event of this.client.streamText(request, { signal: controller.signal, onRetry })) {
        if (isStopped()) return; // the event may have been on its way already
        if (event.type === "start") start = event;
        if (event.type === "delta") text += event.text;
        if (start !== undefined && event.type !== "done") this.#tellInFrame({ status: "streaming", text, start });
        if (start !== undefined && event.type === "done") {
          this.#tell({ status: "done", text: event.response.text, start, response: event.response });
        }
      }
    } catch (error) {
      // Who has aborted it has also said what there is to show instead.
      if (!isStopped()) this.#tell({ status: "failed", text, start, error: error as Error });
    }
  };

  /** Keeps the text that is here, and cancels the rest, also on the gateway. */
  readonly stop = (): void => {
    const state = this.#state;
    if (state.status !== "waiting" && state.status !== "streaming") return;
    this.#cancel();
    this.#tell({ status: "stopped", text: state.text, start: state.status === "streaming" ? state.start : undefined });
  };

  /** Generates the last request again. */
  readonly retry = async (): Promise<void> => {
    if (this.#request !== undefined) await this.generate(this.#request);
  };

  #cancel(): void {
    const controller = this.#controller;
    this.#controller = undefined;
    clearTimeout(this.#frame);
    this.#frame = undefined;
    controller?.abort();
  }

  #tell(state: GenerationState): void {
    clearTimeout(this.#frame);
    this.#frame = undefined;
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }

  /** A timer and no animation frame: that would never come in a tab that is not seen. */
  #tellInFrame(state: GenerationState): void {
    this.#state = state;
    this.#frame ??= setTimeout(() => this.#tell(this.#state), FRAME_MS);
  }
}
