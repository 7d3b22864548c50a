import { useChat } from "@ai-sdk/react";
import { DefaultChatTransport, lastAssistantMessageIsCompleteWithToolCalls } from "ai";
import { useEffect, useRef, useState } from "react";
import type { ChatMessage } from "./chat-message";
import { type Conversation, keepConversation } from "./conversations";
import { localTime } from "./local-time";
import { type ChatSettings, requestBody } from "./settings";
import { API, stopAnswer } from "./stop-answer";

const FRAME_MS = 50;

/** The AI SDK's `useChat` on the gateway's own /chat/ui, with the tool that this page runs; this browser keeps what is said. */
export function useConversation(conversation: Conversation, settings: ChatSettings) {
  const current = useRef(settings);
  const [transport] = useState(
    () =>
      new DefaultChatTransport<ChatMessage>({
        api: API,
        headers: { "x-resumable": "true" },
        prepareSendMessagesRequest: ({ id, messages }) => ({ body: { id, ...requestBody(messages, current.current) } }),
      }),
  );
  const chat = useChat<ChatMessage>({
    id: conversation.id,
    messages: [...conversation.messages],
    transport,
    resume: conversation.messages.length > 0, // a page that was loaded anew finds an answer that is still being written
    throttle: FRAME_MS,
    sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls,
    onToolCall: ({ toolCall: { toolCallId, toolName: tool, input } }) => {
      try {
        void chat.addToolOutput({ tool, toolCallId, output: localTime(input) });
      } catch (error) {
        void chat.addToolOutput({ tool, toolCallId, state: "output-error", errorText: String(error) });
      }
    },
    onFinish: ({ messages }) => keepConversation({ id: conversation.id, system: current.current.system, messages }),
  });
  const { messages, status, stop } = chat;
  useEffect(() => {
    current.current = settings;
  }, [settings]);
  useEffect(() => {
    // A page that is loaded anew still has the question.
    if (status === "submitted") keepConversation({ id: conversation.id, system: current.current.system, messages });
  }, [status, messages, conversation.id]);
  // Who leaves a conversation hears no more of its answer. The gateway writes on only where it is told to keep streams.
  useEffect(() => () => void stop(), [stop]);
  return { ...chat, stop: () => stop().then(() => stopAnswer(conversation.id)) };
}
