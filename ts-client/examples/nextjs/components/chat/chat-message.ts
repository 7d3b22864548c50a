import type { UIMessage } from "ai";

/** What the gateway tells of an answer, some at its start and the rest at its end. */
export interface AnswerFacts {
  readonly model?: string;
  readonly modelVersion?: string;
  readonly completionTokens?: number;
  /** In seconds. */
  readonly generationTime?: number;
}

export type ChatMessage = UIMessage<AnswerFacts>;

export function textOf({ parts }: ChatMessage): string {
  return parts.map((part) => (part.type === "text" ? part.text : "")).join("");
}
