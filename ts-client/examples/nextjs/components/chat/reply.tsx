import { isStaticToolUIPart } from "ai";
import styles from "./chat.module.css";
import { type AnswerFacts, type ChatMessage, textOf } from "./chat-message";
import { CopyButton } from "./copy-button";
import { Markdown } from "./markdown";
import { ToolCall } from "./tool-call";

interface ReplyProps {
  readonly message: ChatMessage;
  /** Whether nothing more comes to it. */
  readonly isWritten: boolean;
  /** Has the model answer again. Undefined where it cannot. */
  readonly onAgain: (() => void) | undefined;
}

/** What the model said and called. */
export function Reply({ message, isWritten, onAgain }: ReplyProps) {
  return (
    <li className={styles.reply}>
      {message.parts.map((part, index) => {
        if (part.type === "text") return <Markdown key={index} text={part.text} />;
        return isStaticToolUIPart(part) ? <ToolCall key={part.toolCallId} part={part} /> : null;
      })}
      {isWritten ? null : <span className="caret" aria-hidden="true" />}
      {isWritten ? (
        <div className={styles.actions}>
          <CopyButton text={textOf(message)} />
          {onAgain ? (
            <button type="button" className={styles.quiet} onClick={onAgain}>
              Answer again
            </button>
          ) : null}
          <span className={styles.facts}>{factsInWords(message.metadata ?? {})}</span>
        </div>
      ) : null}
    </li>
  );
}

function factsInWords({ model, modelVersion, completionTokens, generationTime }: AnswerFacts): string {
  if (model === undefined) return "";
  const name = `${model} ${modelVersion}`;
  if (completionTokens === undefined || !generationTime) return `${name} · stopped`;
  return `${name} · ${completionTokens} tokens · ${(completionTokens / generationTime).toFixed(0)} a second`;
}
