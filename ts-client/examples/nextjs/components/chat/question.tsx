import { type FormEvent, useState } from "react";
import styles from "./chat.module.css";
import { type ChatMessage, textOf } from "./chat-message";
import { CopyButton } from "./copy-button";

interface QuestionProps {
  readonly message: ChatMessage;
  /** Asks this instead, and forgets what was said after it. Undefined while an answer is being written. */
  readonly onSend: ((message: ChatMessage, text: string) => void) | undefined;
}

/** What a person said, who may say it otherwise. */
export function Question({ message, onSend }: QuestionProps) {
  const [edited, setEdited] = useState<string>();
  const text = textOf(message);

  function submit(event: FormEvent): void {
    event.preventDefault();
    if (edited === undefined || edited.trim() === "") return;
    setEdited(undefined);
    onSend?.(message, edited);
  }

  if (edited !== undefined) {
    return (
      <li className={styles.question}>
        <form onSubmit={submit} className={styles.edited}>
          <textarea
            aria-label="Your message, otherwise"
            rows={3}
            required
            ref={(element) => element?.focus()}
            value={edited}
            onChange={(event) => setEdited(event.target.value)}
            onKeyDown={({ key }) => key === "Escape" && setEdited(undefined)}
          />
          <div className={styles.actions}>
            <button type="submit">Send again</button>
            <button type="button" onClick={() => setEdited(undefined)}>
              Cancel
            </button>
          </div>
        </form>
      </li>
    );
  }
  return (
    <li className={styles.question}>
      <p>{text}</p>
      <div className={styles.actions}>
        {onSend ? (
          <button type="button" className={styles.quiet} onClick={() => setEdited(text)}>
            Edit
          </button>
        ) : null}
        <CopyButton text={text} />
      </div>
    </li>
  );
}
