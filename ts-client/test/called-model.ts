import type { ModelCall, StreamPart } from "../src/ai-sdk/specification.js";
import { createTorchbridge } from "../src/ai-sdk.js";
import { CHUNKS, startChat, wholeStream } from "./chat.js";
import { collect } from "./wire.js";

export const STREAM = wholeStream(CHUNKS);
export const USER = { role: "user", content: [{ type: "text", text: "Hello" }] } as const;
export const CALL: ModelCall = { prompt: [USER] };

export const modelAt = (baseUrl: string) => createTorchbridge({ baseUrl })("tiny");

export async function partsOf(answer: string, call: ModelCall = CALL): Promise<StreamPart[]> {
  const { url } = await startChat(answer);
  const { stream } = await modelAt(url).doStream(call);
  return await collect(stream);
}
