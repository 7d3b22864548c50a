// A conversation of the AI SDK as OpenAI's API writes it.

import { member, parseJson } from "../contract.js";
import { unsupported } from "./errors.js";
import type { AssistantPart, FilePart, ModelMessage, TextPart, ToolCallPart, ToolOutput } from "./specification.js";

export type ChatMessage =
  | { readonly role: "system"; readonly content: string }
  | { readonly role: "user"; readonly content: string | readonly TextPart[] }
  | { readonly role: "assistant"; readonly content: string | null; readonly tool_calls?: readonly ChatToolCall[] }
  | { readonly role: "tool"; readonly tool_call_id: string; readonly content: string };

export interface ChatToolCall {
  readonly id: string;
  readonly type: "function";
  /** The arguments are JSON. */
  readonly function: { readonly name: string; readonly arguments: string };
}

/**
 * The messages, without those parts of earlier answers that the model has no place for: `leaveOut` hears of them.
 *
 * @throws the AI SDK's UnsupportedFunctionalityError where the model cannot read what it is asked about.
 */
export function chatMessages(prompt: readonly ModelMessage[], leaveOut: (what: string) => void): ChatMessage[] {
  return prompt.flatMap((message) => messagesOf(message, leaveOut));
}

function messagesOf(message: ModelMessage, leaveOut: (what: string) => void): ChatMessage[] {
  switch (message.role) {
    case "system":
      return [{ role: "system", content: message.content }];
    case "user":
      return [{ role: "user", content: userContent(message.content) }];
    case "assistant":
      return [assistantMessage(message.content, leaveOut)];
    case "tool":
      return message.content
        .filter((part) => part.type === "tool-result") // an approval is the SDK's own affair
        .map(({ toolCallId, output }) => ({ role: "tool", tool_call_id: toolCallId, content: outputText(output) }));
  }
}

function userContent(parts: readonly (TextPart | FilePart)[]): string | TextPart[] {
  const texts = parts.map((part) => (part.type === "text" ? part.text : fileText(part)));
  const [first = ""] = texts;
  // What stands between several parts is for the gateway to say.
  return texts.length > 1 ? texts.map((text) => ({ type: "text", text })) : first;
}

/** The text of a document, in any of the forms that versions 6 and 7 of the SDK hand it over. */
function fileText({ mediaType, data }: FilePart): string {
  if (/^text(\/|$)/.test(mediaType)) {
    const text = member(data, "text");
    if (typeof text === "string") return text;
    const content = member(data, "data") ?? data;
    if (content instanceof Uint8Array) return new TextDecoder().decode(content);
    if (typeof content === "string") return new TextDecoder().decode(bytesOf(content));
  }
  throw unsupported(`files of type ${mediaType}`);
}

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function assistantMessage(parts: readonly AssistantPart[], leaveOut: (what: string) => void): ChatMessage {
  let text = "";
  const toolCalls: ChatToolCall[] = [];
  for (const part of parts) {
    if (part.type === "text") text += part.text;
    else if (part.type === "tool-call" && !part.providerExecuted) toolCalls.push(chatToolCall(part));
    else leaveOut(part.type);
  }
  if (toolCalls.length === 0) return { role: "assistant", content: text };
  return { role: "assistant", content: text || null, tool_calls: toolCalls };
}

function chatToolCall({ toolCallId, toolName, input }: ToolCallPart): ChatToolCall {
  // The input of a call that the SDK could not read is the text that the model wrote.
  const isJson = typeof input === "string" && parseJson(input) !== undefined;
  const json = isJson ? input : JSON.stringify(input ?? {});
  return { id: toolCallId, type: "function", function: { name: toolName, arguments: json } };
}

function outputText(output: ToolOutput): string {
  switch (output.type) {
    case "text":
    case "error-text":
      return output.value;
    case "json":
    case "error-json":
      return JSON.stringify(output.value);
    case "execution-denied":
      return output.reason ?? "The tool was not run: its use was denied.";
    case "content":
      return output.value.map(contentText).join("\n");
  }
}

function contentText(part: TextPart | { readonly type: string }): string {
  if ("text" in part) return part.text;
  throw unsupported(`${part.type} in the result of a tool`);
}
