import { type InvalidToolCallError, isInvalidToolCallError } from "./chat/errors.js";
import {
  type AssistantMessage,
  type ChatAnswer,
  type ChatEvent,
  type ChatRequest,
  type ChatStream,
  type ChatTools,
  streamChat,
  type ToolCallOf,
} from "./chat.js";
import type { PythonClient } from "./client.js";
import { HttpExchange } from "./http.js";
import { isInvalidObjectError } from "./objects/errors.js";
import type { CallOptions } from "./options.js";
import { readable } from "./readable.js";
import { Reading } from "./reading.js";
import { keepHead, responseHead } from "./response-head.js";
import type {
  RunnableTools,
  ToolContext,
  ToolResult,
  ToolSchemas,
  ToolsEvent,
  ToolsRequest,
  ToolsStream,
} from "./tools/types.js";

export type {
  RunnableTools,
  ToolContext,
  ToolResult,
  ToolSchemas,
  ToolsAnswer,
  ToolsEvent,
  ToolsRequest,
  ToolsStream,
} from "./tools/types.js";

const MOST_STEPS = 10;

type AnyTools = Readonly<Record<string, { readonly execute: (given: never, context: ToolContext) => unknown }>>;

/**
 * Goes on with a conversation until the model calls no more tools: it runs those of an answer beside each other, tells the
 * model what they give, and asks for the next answer. What a tool throws is told to the model, too, and so is what its
 * schema has against a call. Timeouts hold for each answer. Leaving the loop early cancels all that is under way.
 *
 * @throws What `streamChat` throws, but for the calls that a schema refuses.
 */
export function runTools<const Schemas extends ToolSchemas, Value = undefined>(
  client: PythonClient,
  request: ToolsRequest<Schemas, Value>,
  options: CallOptions = {},
): ToolsStream<RunnableTools<Schemas>, Value> {
  const reading = new Reading(options.signal);
  const events = toolsEvents(client, request, options, reading);
  return readable(events, () => reading.leave(), ["textStream", "delta", "text"], "answer");
}

async function* toolsEvents<Schemas extends ToolSchemas, Value>(
  client: PythonClient,
  { maxSteps = MOST_STEPS, tool_choice, ...request }: ToolsRequest<Schemas, Value>,
  options: CallOptions,
  reading: Reading,
): AsyncGenerator<ToolsEvent<RunnableTools<Schemas>, Value>, void, undefined> {
  const call = { ...options, signal: reading.signal };
  const messages = [...request.messages];
  const steps: ChatAnswer<RunnableTools<Schemas>, Value>[] = [];
  let asked: ChatRequest<RunnableTools<Schemas>, Value> = { ...request, messages, tool_choice };
  reading.open();
  try {
    for (let left = maxSteps - 1; ; left -= 1) {
      const step: Step<RunnableTools<Schemas>, Value> = yield* stepOf(streamChat(client, asked, call));
      const { answer, refused } = step;
      if (refused && left <= 0) throw refused;
      messages.push(step.message);
      for (const result of await resultsOf(request.tools, step, reading.signal)) {
        messages.push({ role: "tool", tool_call_id: result.callId, content: result.content });
        yield result;
      }
      if (answer) steps.push(answer);
      if (answer && (left <= 0 || answer.toolCalls.length === 0)) {
        reading.isLast = true;
        const head = responseHead(answer);
        yield keepHead({ type: "done", answer: keepHead({ ...answer, messages, steps }, head) }, head);
        return;
      }
      asked = { ...request, messages };
    }
  } catch (error) {
    if (!reading.isLeft) throw error;
  } finally {
    reading.close();
  }
}

/** What came of a question: an answer, or a call that its schema has refused. */
interface Step<Tools extends ChatTools, Value> {
  readonly message: AssistantMessage;
  readonly calls: readonly ToolCallOf<Tools>[];
  readonly answer?: ChatAnswer<Tools, Value>;
  readonly refused?: InvalidToolCallError;
}

async function* stepOf<Tools extends ChatTools, Value>(
  events: ChatStream<Tools, Value>,
): AsyncGenerator<Exclude<ChatEvent<Tools, Value>, { readonly type: "done" }>, Step<Tools, Value>, undefined> {
  const calls: ToolCallOf<Tools>[] = [];
  try {
    for await (const event of events) {
      if (event.type === "tool_call") calls.push(event.call);
      if (event.type !== "done") yield event;
    }
    const answer = await events.answer;
    return { message: answer.message, calls, answer };
  } catch (refused) {
    // Of a call that is not whole there is nothing to tell.
    if (!isInvalidToolCallError(refused) || !isInvalidObjectError(refused.cause)) throw refused;
    return { message: refused.assistantMessage, calls, refused };
  }
}

/** @throws As soon as the signal is aborted. */
async function resultsOf(
  tools: AnyTools,
  { calls, refused }: Pick<Step<ChatTools, unknown>, "calls" | "refused">,
  signal: AbortSignal,
): Promise<ToolResult[]> {
  const exchange = new HttpExchange(signal, {});
  try {
    const run = () => Promise.all(calls.map((call) => resultOf(tools, call, signal)));
    const results = await exchange.waitFor(run);
    return refused ? [...results, failure(refused.callId, refused.tool, refused.cause, refused)] : results;
  } finally {
    exchange.close();
  }
}

async function resultOf(tools: AnyTools, call: ToolCallOf<ChatTools>, signal: AbortSignal): Promise<ToolResult> {
  const { id: callId, name } = call;
  try {
    const given = await tools[name]?.execute(call.arguments as never, { callId, signal });
    const content = typeof given === "string" ? given : JSON.stringify(given ?? null);
    return { type: "tool_result", callId, name, content };
  } catch (error) {
    return failure(callId, name, error, error);
  }
}

function failure(callId: string, name: string, reason: unknown, error: unknown): ToolResult {
  const content = `Error: ${reason instanceof Error ? reason.message : reason}`;
  return { type: "tool_result", callId, name, content, error };
}
