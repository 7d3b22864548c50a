import type { PythonClient } from "./client.js";
import type { CallOptions } from "./options.js";
import { type RunState, type RunStep, RunStore } from "./run-store.js";
import type { GenerationRequest } from "./schema.gen.js";

interface NoText {
  readonly text: "";
}
interface Text {
  readonly text: string;
}

/** What there is to show of a generation. `text` is all of it that is here. */
export type GenerationState = RunState<NoText, Text, Text>;

/** One generation at a time, as a store that any framework can follow: it tells its listeners once a frame at most. */
export class GenerationStore extends RunStore<GenerationRequest, NoText, Text, Text> {
  client: PythonClient;

  constructor(client: PythonClient) {
    super({ text: "" });
    this.client = client;
  }

  protected override async *steps(
    request: GenerationRequest,
    options: CallOptions,
  ): AsyncIterable<RunStep<Text, Text>> {
    let text = "";
    for await (const event of this.client.streamText(request, options)) {
      if (event.type === "start") yield event;
      else if (event.type === "done")
        yield { type: "done", whole: { text: event.response.text }, response: event.response };
      else {
        text += event.text;
        yield { type: "part", part: { text } };
      }
    }
  }
}
