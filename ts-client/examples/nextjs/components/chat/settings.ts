import type { ChatMessage } from "./chat-message";
import { LOCAL_TIME } from "./local-time";

export interface ChatSettings {
  /** `model@version`, or empty for the gateway's default. */
  readonly version: string;
  /** What the model is told before all else. */
  readonly system: string;
  readonly temperature: number;
  readonly maxTokens: number;
  /** Whether the model may ask this page for the time of day, or has to. */
  readonly tools: "none" | "auto" | "required";
}

export const START_SETTINGS: Omit<ChatSettings, "system"> = {
  version: "",
  temperature: 0.7,
  maxTokens: 300,
  tools: "none",
};

/** What is sent for a conversation. */
export function requestBody(messages: readonly ChatMessage[], settings: ChatSettings): object {
  const { version, system, temperature, maxTokens, tools } = settings;
  const hasResults = messages.at(-1)?.role === "assistant"; // of its tools: it is to go on from them
  const told = { id: "system", role: "system", parts: [{ type: "text", text: system }] };
  return {
    messages: system.trim() === "" ? messages : [told, ...messages],
    temperature,
    max_tokens: maxTokens,
    ...(version !== "" && { model: version }),
    ...(tools !== "none" && { tools: [LOCAL_TIME], tool_choice: hasResults ? "none" : tools }),
  };
}
