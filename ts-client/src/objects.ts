import type { PythonClient } from "./client.js";
import type { StreamEvent } from "./contract.js";
import { TorchbridgeError } from "./errors.js";
import { PartialJson } from "./objects/partial-json.js";
import { jsonSchemaOf, type ObjectSchema, writtenValue } from "./objects/schema.js";
import { withPauses } from "./objects/with-pauses.js";
import type { CallOptions } from "./options.js";
import { type PieceStream, readable } from "./readable.js";
import { keepHead, type ResponseHead, responseHead } from "./response-head.js";
import type { ErrorEvent, GenerationRequest, GenerationResponse, StartEvent } from "./schema.gen.js";

export {
  InvalidObjectError,
  isInvalidObjectError,
  isObjectTruncatedError,
  ObjectTruncatedError,
  type SchemaIssue,
} from "./objects/errors.js";
export type { JsonSchema, ObjectSchema, StandardJsonSchema } from "./objects/schema.js";

const LENGTH_OF_A_LONG_TEXT = 4_096;
const FRAME_MS = 16;

/** What to generate, and what it has to be. */
export interface ObjectRequest<Value, Sent = Value> extends Omit<GenerationRequest, "output"> {
  /** Of the object. The model writes nothing that is not valid by its JSON schema. */
  readonly schema: ObjectSchema<Value, Sent>;
}

/** An object, and the answer that it was read from. */
export interface ObjectResult<Value> {
  /** Valid by the schema, and as the schema makes it. */
  readonly object: Value;
  /** Its `text` is the JSON. */
  readonly response: GenerationResponse;
}

/** An event of an object that is being written: one `start`, any number of `partial`, one `done`. */
export type ObjectEvent<Value, Sent = Value> =
  | StartEvent
  | { readonly type: "partial"; readonly object: PartialObject<Sent> }
  | ({ readonly type: "done" } & ObjectResult<Value>);

/**
 * The events of an object that is being written. They are read once: as events, as partial objects, or for the object
 * alone.
 */
export interface ObjectStream<Value, Sent = Value> extends AsyncGenerator<ObjectEvent<Value, Sent>, void, undefined> {
  /** What there is of the object, as the `partial` events have it. */
  readonly partialObjectStream: PieceStream<PartialObject<Sent>>;
  /** What the `done` event has. Where nobody has begun to read, waiting for it reads the stream. */
  readonly object: PromiseLike<Value>;
}

/** What there may be of a value while it is being written. No schema has seen it. */
export type PartialObject<Value> = Value extends readonly (infer Item)[]
  ? PartialObject<Item>[]
  : Value extends object
    ? { [Key in keyof Value]?: PartialObject<Value[Key]> }
    : Value;

/**
 * Generates an object and waits for the whole of it. Of a JSON schema the type is given: `generateObject<City>(…)`.
 *
 * @throws ObjectTruncatedError where the answer ends within the object, InvalidObjectError where the schema refuses it,
 * TypeError where the schema cannot tell its JSON schema, and what `generateText` throws.
 */
export async function generateObject<Value = unknown, Sent = Value>(
  client: PythonClient,
  request: ObjectRequest<Value, Sent>,
  options?: CallOptions,
): Promise<ObjectResult<Value>> {
  const response = await client.generateText(textRequest(request), options);
  return await resultOf(request.schema, response, responseHead(response));
}

/**
 * Generates an object and yields what there is of it as it comes. Leaving the loop early cancels the request, also on the
 * gateway.
 *
 * @throws TypeError at once, where the schema cannot tell its JSON schema. In the loop ObjectTruncatedError where the
 * answer ends within the object, InvalidObjectError where the schema refuses it, and what `streamText` throws.
 */
export function streamObject<Value = unknown, Sent = Value>(
  client: PythonClient,
  request: ObjectRequest<Value, Sent>,
  options?: CallOptions,
): ObjectStream<Value, Sent> {
  const events = client.streamText(textRequest(request), options);
  const leave = (): void => void events.return().catch(() => undefined);
  const objects = objectEvents<Value, Sent>(events, request.schema);
  return readable(objects, leave, ["partialObjectStream", "partial", "object"], "object");
}

async function* objectEvents<Value, Sent>(
  events: AsyncGenerator<Exclude<StreamEvent, ErrorEvent>, void, undefined>,
  schema: ObjectSchema<Value, Sent>,
): AsyncGenerator<ObjectEvent<Value, Sent>, void, undefined> {
  const partials = new Partials<Sent>();
  try {
    for await (const event of withPauses(events, partials.patience)) {
      if (event?.type === "start") yield event;
      if (event?.type === "delta") partials.add(event.text);
      if (event?.type === "done") {
        yield* partials.rest();
        const head = responseHead(event);
        const result = await resultOf(schema, event.response, head);
        yield keepHead({ type: "done", ...result }, head);
      } else if (partials.isDue) yield* partials.rest();
    }
  } catch (error) {
    if (error instanceof TorchbridgeError) yield* partials.rest(); // and not for who has aborted it
    throw error;
  }
}

/** Of a long text not every delta is told: to read all of it for each takes longer the longer it is. */
class Partials<Sent> {
  readonly #json = new PartialJson();
  #isMore = false;
  #due = 0;

  add(text: string): void {
    if (this.#json.add(text)) this.#isMore = true;
  }

  get isDue(): boolean {
    return this.#json.length < LENGTH_OF_A_LONG_TEXT || performance.now() >= this.#due;
  }

  /** How long to wait for more, in milliseconds. */
  readonly patience = (): number | undefined => (this.#isMore ? this.#due - performance.now() : undefined);

  /** What there is that nobody has been told. */
  *rest(): Generator<{ readonly type: "partial"; readonly object: PartialObject<Sent> }, void, undefined> {
    if (!this.#isMore) return;
    this.#isMore = false;
    const object = this.#json.value;
    this.#due = performance.now() + FRAME_MS;
    if (object !== undefined) yield { type: "partial", object: object as PartialObject<Sent> };
  }
}

function textRequest<Value, Sent>({ schema, ...request }: ObjectRequest<Value, Sent>): GenerationRequest {
  return { ...request, output: { schema: jsonSchemaOf(schema) } };
}

async function resultOf<Value>(
  schema: ObjectSchema<Value, unknown>,
  response: GenerationResponse,
  head: ResponseHead | undefined,
): Promise<ObjectResult<Value>> {
  try {
    const object = await writtenValue(schema, response.text, response.finish_reason);
    return keepHead({ object, response }, head);
  } catch (error) {
    throw keepHead(error, head);
  }
}
