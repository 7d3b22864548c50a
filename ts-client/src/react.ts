import { useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { PythonClient } from "./client.js";
import { type GenerationCallbacks, type GenerationState, GenerationStore } from "./generation-store.js";
import { type ObjectCallbacks, type ObjectPrompt, type ObjectState, ObjectStore } from "./object-store.js";
import type { ObjectSchema } from "./objects.js";
import { ResumableStore } from "./resumable-store.js";
import type { RunCallbacks } from "./run-store.js";
import type { GenerationRequest } from "./schema.gen.js";

export type { GenerationCallbacks, GenerationState } from "./generation-store.js";
export type { ObjectCallbacks, ObjectPrompt, ObjectState } from "./object-store.js";
export type { GenerationRetry } from "./run-store.js";

/** What a component can do with its generation. */
export interface Generation<Request = GenerationRequest> {
  /** The last one. After a reload it is that of the answer that goes on. */
  readonly request: Request | undefined;
  /** Stops what runs and generates this. It resolves when that has ended, however it has, and never rejects. */
  readonly generate: (request: Request) => Promise<void>;
  /** Keeps what is here, and cancels the rest, also on the gateway. */
  readonly stop: () => void;
  /** Generates the last request again. */
  readonly retry: () => Promise<void>;
}

/**
 * A generation that a component shows while it grows. It is updated once a frame at most, and cancelled when the component
 * goes away or generates anew.
 *
 * @param client By default one whose gateway is the page's own server, at `/api`.
 * @param callbacks What to call when it has ended. They may be other ones at each render.
 */
export function useGeneration(client?: PythonClient, callbacks?: GenerationCallbacks): GenerationState & Generation {
  const [store] = useState(() => new GenerationStore(client ?? new PythonClient("/api")));
  useEffect(() => {
    if (client !== undefined) store.client = client;
  }, [store, client]);
  useCallbacks(store, callbacks);
  return useStore<GenerationState, GenerationRequest>(store);
}

/**
 * A generation as `useGeneration` has it, which outlives a lost connection, a gateway, and a reload of the page: the same
 * component goes on with it when it is shown again. `stop` ends it for good, also on a gateway that would keep it. For
 * gateways whose events have ids; with others it is `useGeneration`.
 *
 * @param key Of this generation in the page's session: each component has its own. Where it changes, the answer that runs is
 * left as by a reload, and that of the other key is here.
 * @param client By default one whose gateway is the page's own server, at `/api`.
 * @param callbacks What to call when it has ended, also after a reload.
 */
export function useResumableGeneration(
  key: string,
  client?: PythonClient,
  callbacks?: GenerationCallbacks,
): GenerationState & Generation {
  const [first] = useState(() => client ?? new PythonClient("/api"));
  const store = useMemo(() => new ResumableStore(first, key), [first, key]);
  useEffect(() => {
    if (client !== undefined) store.client = client;
  }, [store, client]);
  useCallbacks(store, callbacks);
  const generation = useFollowed<GenerationState, GenerationRequest>(store);
  useEffect(() => {
    store.resume();
    addEventListener("pagehide", store.keep);
    return () => {
      removeEventListener("pagehide", store.keep);
      store.leave();
    };
  }, [store]);
  return generation;
}

/**
 * An object that a component shows while it is written, as `streamObject` yields it. It is updated once a frame at most,
 * and cancelled when the component goes away or generates anew.
 *
 * @param schema What the object has to be.
 * @param client By default one whose gateway is the page's own server, at `/api`.
 * @param callbacks What to call when it has ended.
 */
export function useObject<Value = unknown, Sent = Value>(
  schema: ObjectSchema<Value, Sent>,
  client?: PythonClient,
  callbacks?: ObjectCallbacks<Value>,
): ObjectState<Value, Sent> & Generation<ObjectPrompt> {
  const [store] = useState(() => new ObjectStore(client ?? new PythonClient("/api"), schema));
  useEffect(() => {
    store.schema = schema;
    if (client !== undefined) store.client = client;
  }, [store, schema, client]);
  useCallbacks(store, callbacks);
  return useStore<ObjectState<Value, Sent>, ObjectPrompt>(store);
}

interface Followed<State, Request> extends Generation<Request> {
  readonly subscribe: (listener: () => void) => () => void;
  readonly getState: () => State;
}

function useCallbacks<Whole>(
  store: { callbacks: RunCallbacks<Whole> },
  callbacks: RunCallbacks<Whole> | undefined,
): void {
  useEffect(() => {
    store.callbacks = callbacks ?? {};
  }, [store, callbacks]);
}

function useStore<State, Request>(store: Followed<State, Request>): State & Generation<Request> {
  // Nobody hears of it, but who is hidden and shown again, as by <Activity>, finds it stopped.
  useEffect(() => store.stop, [store]);
  return useFollowed(store);
}

function useFollowed<State, Request>(store: Followed<State, Request>): State & Generation<Request> {
  const state = useSyncExternalStore(store.subscribe, store.getState, store.getState);
  return { ...state, request: store.request, generate: store.generate, stop: store.stop, retry: store.retry };
}
