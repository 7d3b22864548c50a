// Of the same kind as those of ../errors.ts: here, as only who asks for objects has to load them.

import { guard, TorchbridgeError } from "../errors.js";

/** The answer ended before its JSON did: by its largest length, or by a text of `stop`. */
export class ObjectTruncatedError extends TorchbridgeError {
  /** The same for every error of this kind. */
  declare readonly name: "ObjectTruncatedError";
  /** What there is of the JSON. */
  declare readonly text: string;
  /** Why the answer ended: `length` where more tokens would have helped. */
  declare readonly finishReason: string;

  constructor(text: string, finishReason: string) {
    super("ObjectTruncatedError", `The answer ended by ${finishReason} before its JSON did`, { text, finishReason });
  }
}

/** The answer is whole, and the schema refuses it: by a rule that its JSON schema cannot say. */
export class InvalidObjectError extends TorchbridgeError {
  /** The same for every error of this kind. */
  declare readonly name: "InvalidObjectError";
  /** The answer. */
  declare readonly text: string;
  /** What the schema has against it. */
  declare readonly issues: readonly SchemaIssue[];

  constructor(text: string, issues: readonly SchemaIssue[]) {
    super("InvalidObjectError", `The answer is not valid: ${issues[0]?.message}`, { text, issues });
  }
}

/** What is wrong with a value, and perhaps where in it. */
export interface SchemaIssue {
  /** For a person. */
  readonly message: string;
  /** The keys that lead there. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** Whether it is an {@link ObjectTruncatedError}, also one of another copy of this package. */
export const isObjectTruncatedError: (error: unknown) => error is ObjectTruncatedError = guard("ObjectTruncatedError");
/** Whether it is an {@link InvalidObjectError}, also one of another copy of this package. */
export const isInvalidObjectError: (error: unknown) => error is InvalidObjectError = guard("InvalidObjectError");
