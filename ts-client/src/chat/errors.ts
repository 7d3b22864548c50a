// Of the same kind as those of ../errors.ts: here, as only who chats has to load it.

import { guard, TorchbridgeError } from "../errors.js";
import type { AssistantMessage } from "./request.js";

/** A call of a tool as the model has written it. */
export interface WrittenCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
}

/** The model called a tool with arguments that are not whole or not valid: the tool must not be run with them. */
export class InvalidToolCallError extends TorchbridgeError {
  /** The same for every error of this kind. */
  declare readonly name: "InvalidToolCallError";
  /** Of the tool. */
  declare readonly tool: string;
  /** Of the call. */
  declare readonly callId: string;
  /** What there is of the arguments' JSON. `cause` says what is wrong with it. */
  declare readonly text: string;
  /** What the model has said, up to this call, as the next request's `messages` take it: to tell it what is wrong. */
  declare readonly assistantMessage: AssistantMessage;

  constructor(call: WrittenCall, cause: unknown, assistantMessage: AssistantMessage) {
    const { id: callId, name: tool, arguments: text } = call;
    const reason = cause instanceof Error ? cause.message : `${cause}`;
    const facts = { tool, callId, text, assistantMessage };
    super("InvalidToolCallError", `A call of ${tool} cannot be run: ${reason}`, facts, { cause });
  }
}

/** Whether it is an {@link InvalidToolCallError}, also one of another copy of this package. */
export const isInvalidToolCallError: (error: unknown) => error is InvalidToolCallError = guard("InvalidToolCallError");
