import type { PythonClient } from "./client.js";
import { type ObjectRequest, type ObjectSchema, type PartialObject, streamObject } from "./objects.js";
import type { CallOptions } from "./options.js";
import { type RunCallbacks, type RunState, type RunStep, RunStore } from "./run-store.js";

interface NoObject {
  readonly object: undefined;
}
interface Part<Sent> {
  readonly object: PartialObject<Sent> | undefined;
}
interface Whole<Value> {
  readonly object: Value;
}

/** What to read an object from. The schema is told before. */
export type ObjectPrompt = Omit<ObjectRequest<unknown>, "schema">;

/** What there is to show of an object. Until it is done, `object` is what is written of it, and no schema has seen it. */
export type ObjectState<Value, Sent = Value> = RunState<NoObject, Part<Sent>, Whole<Value>>;

/** What a component can have called when its object is whole, or has failed: not where it was stopped, or made anew. */
export type ObjectCallbacks<Value> = RunCallbacks<Whole<Value>>;

/** One object at a time, as a store that any framework can follow: it tells its listeners once a frame at most. */
export class ObjectStore<Value, Sent = Value> extends RunStore<ObjectPrompt, NoObject, Part<Sent>, Whole<Value>> {
  client: PythonClient;
  schema: ObjectSchema<Value, Sent>;

  constructor(client: PythonClient, schema: ObjectSchema<Value, Sent>) {
    super({ object: undefined });
    this.client = client;
    this.schema = schema;
  }

  protected override async *steps(
    prompt: ObjectPrompt,
    options: CallOptions,
  ): AsyncIterable<RunStep<Part<Sent>, Whole<Value>>> {
    for await (const event of streamObject(this.client, { ...prompt, schema: this.schema }, options)) {
      if (event.type === "start") yield event;
      else if (event.type === "partial") yield { type: "part", part: { object: event.object } };
      else yield { type: "done", whole: { object: event.object }, response: event.response };
    }
  }
}
