import type { PythonClient } from "./client.js";
import type { StreamEvent } from "./contract.js";
import type { CallOptions } from "./options.js";
import { type RunCallbacks, type RunState, type RunStep, RunStore } from "./run-store.js";
import type { ErrorEvent, GenerationRequest } from "./schema.gen.js";

export interface NoText {
  readonly text: "";
}
export interface Text {
  readonly text: string;
}

/** What there is to show of a generation. `text` is all of it that is here. */
export type GenerationState = RunState<NoText, Text, Text>;

/** What a component can have called when its generation has ended by itself: not where it was stopped, or made anew. */
export type GenerationCallbacks = RunCallbacks<Text>;

/** One generation at a time, as a store that any framework can follow: it tells its listeners once a frame at most. */
export class GenerationStore extends RunStore<GenerationRequest, NoText, Text, Text> {
  client: PythonClient;

  constructor(client: PythonClient) {
    super({ text: "" });
    this.client = client;
  }

  protected override steps(request: GenerationRequest, options: CallOptions): AsyncIterable<RunStep<Text, Text>> {
    return textSteps(this.client.streamText(request, options));
  }
}

/** The steps that a stream's events are, each with all of the text so far. */
export async function* textSteps(
  events: AsyncIterable<Exclude<StreamEvent, ErrorEvent>>,
): AsyncGenerator<RunStep<Text, Text>, void, undefined> {
  let text = "";
  for await (const event of events) {
    if (event.type === "start") yield event;
    else if (event.type === "delta") {
      text += event.text;
      yield { type: "part", part: { text } };
    } else yield { type: "done", whole: { text: event.response.text }, response: event.response };
  }
}
