import { useEffect, useState, useSyncExternalStore } from "react";
import { PythonClient } from "./client.js";
import { type GenerationState, GenerationStore } from "./generation-store.js";
import type { GenerationRequest } from "./schema.gen.js";

export type { GenerationRetry, GenerationState } from "./generation-store.js";

/** What a component can do with its generation. */
export interface Generation {
  /** Stops what runs and generates this. It resolves when that has ended, however it has, and never rejects. */
  readonly generate: (request: GenerationRequest) => Promise<void>;
  /** Keeps the text that is here, and cancels the rest, also on the gateway. */
  readonly stop: () => void;
  /** Generates the last request again. */
  readonly retry: () => Promise<void>;
}

/**
 * A generation that a component shows while it grows. It is updated once a frame at most, and cancelled when the component
 * goes away or generates anew.
 *
 * @param client By default one whose gateway is the page's own server, at `/api`.
 */
export function useGeneration(client?: PythonClient): GenerationState & Generation {
  const [store] = useState(() => new GenerationStore(client ?? new PythonClient("/api")));
  const state = useSyncExternalStore(store.subscribe, store.getState, store.getState);
  useEffect(() => {
    if (client !== undefined) store.client = client;
  }, [store, client]);
  // Nobody hears of it, but who is hidden and shown again, as by <Activity>, finds it stopped.
  useEffect(() => store.stop, [store]);
  return { ...state, generate: store.generate, stop: store.stop, retry: store.retry };
}
