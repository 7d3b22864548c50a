import { type ReactNode, useRef, useState } from "react";
import type { Model } from "torchbridge";
import { chatErrorInWords } from "../error-words";
import { Failure } from "../failure";
import styles from "./chat.module.css";
import type { ChatMessage } from "./chat-message";
import { Composer } from "./composer";
import type { Conversation } from "./conversations";
import { Question } from "./question";
import { Reply } from "./reply";
import type { ChatSettings } from "./settings";
import { SettingsForm } from "./settings-form";
import { useConversation } from "./use-conversation";
import { useEndInSight } from "./use-end-in-sight";

const STATUS = { submitted: "Waiting for the first word", streaming: "Writing", ready: "", error: "Failed" } as const;

interface ChatProps {
  readonly conversation: Conversation;
  readonly models: readonly Model[];
  readonly settings: Omit<ChatSettings, "system">;
  readonly onSettings: (settings: Omit<ChatSettings, "system">) => void;
}

export function Chat({ conversation, models, settings, onSettings }: ChatProps) {
  const [system, setSystem] = useState(conversation.system);
  const chat = useConversation(conversation, { ...settings, system });
  const { messages, status, error } = chat;
  const list = useEndInSight<HTMLOListElement>(messages);
  const composer = useRef<HTMLTextAreaElement>(null);
  const isBusy = status === "submitted" || status === "streaming";

  function answerAgain(): void {
    composer.current?.focus(); // the button that has it goes away
    void chat.regenerate();
  }
  function askInstead(message: ChatMessage, text: string): void {
    composer.current?.focus();
    void chat.sendMessage({ text, messageId: message.id });
  }

  return (
    <section className={styles.chat} aria-label="Chat">
      <SettingsForm
        models={models}
        settings={{ ...settings, system }}
        onChange={({ system, ...others }) => {
          setSystem(system);
          onSettings(others);
        }}
      />
      <ol className={styles.messages} aria-label="Messages" aria-live="polite" aria-busy={isBusy} ref={list}>
        {messages.length === 0 ? <li className={styles.empty}>Say something to the model.</li> : null}
        {messages.map((message, index) =>
          message.role === "user" ? (
            <Question key={message.id} message={message} onSend={isBusy ? undefined : askInstead} />
          ) : (
            <Reply
              key={message.id}
              message={message}
              isWritten={!isBusy || index < messages.length - 1}
              onAgain={isBusy || index < messages.length - 1 ? undefined : answerAgain}
            />
          ),
        )}
      </ol>
      {failureOf(messages, isBusy, error, answerAgain)}
      <p role="status" className={`status ${isBusy ? "streaming" : status === "error" ? "failed" : styles.still}`}>
        {STATUS[status]}
      </p>
      <Composer
        isBusy={isBusy}
        onSend={(text) => void chat.sendMessage({ text })}
        onStop={() => void chat.stop()}
        textarea={composer}
      />
    </section>
  );
}

function failureOf(
  messages: readonly ChatMessage[],
  isBusy: boolean,
  error: Error | undefined,
  onRetry: () => void,
): ReactNode {
  if (error !== undefined) return <Failure words={chatErrorInWords(error)} onRetry={onRetry} />;
  const isUnanswered = !isBusy && messages.at(-1)?.role === "user";
  return isUnanswered ? <Failure words="It was stopped before the first word." onRetry={onRetry} /> : null;
}
