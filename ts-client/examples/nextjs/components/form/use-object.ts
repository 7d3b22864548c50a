import { useEffect, useRef, useState } from "react";
import { PythonClient } from "torchbridge";
import { type ObjectRequest, type ObjectResult, type PartialObject, streamObject } from "torchbridge/objects";

/** What there is of an object. `object` has the fields that are written so far, also where no more will come. */
export type ObjectState<Value> =
  | { readonly status: "idle" | "waiting" | "writing" | "stopped"; readonly object: Value | PartialObject<Value> }
  | ({ readonly status: "done" } & ObjectResult<Value>)
  | { readonly status: "failed"; readonly object: Value | PartialObject<Value>; readonly error: Error };

interface ObjectGeneration<Value> {
  readonly state: ObjectState<Value>;
  readonly generate: (request: ObjectRequest<Value>) => Promise<void>;
  readonly stop: () => void;
}

/** One object at a time, which the component shows while it is written. It is cancelled when the component goes away. */
export function useObject<Value>(): ObjectGeneration<Value> {
  const [client] = useState(() => new PythonClient("/api"));
  const nothing = {} as PartialObject<Value>; // whatever its fields are, it may still have none
  const [state, setState] = useState<ObjectState<Value>>({ status: "idle", object: nothing });
  const running = useRef<AbortController>(undefined);
  useEffect(() => () => running.current?.abort(), []);

  async function generate(request: ObjectRequest<Value>): Promise<void> {
    running.current?.abort();
    const controller = new AbortController();
    const { signal } = controller;
    running.current = controller;
    setState({ status: "waiting", object: nothing });
    try {
      for await (const event of streamObject(client, request, { signal })) {
        if (event.type === "partial") setState({ status: "writing", object: event.object });
        if (event.type === "done") setState({ status: "done", object: event.object, response: event.response });
      }
    } catch (error) {
      if (!signal.aborted) setState(({ object }) => ({ status: "failed", object, error: error as Error }));
    }
  }

  function stop(): void {
    running.current?.abort();
    setState(({ object }) => ({ status: "stopped", object }));
  }

  return { state, generate, stop };
}
