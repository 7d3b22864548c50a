import { type FormEvent, type KeyboardEvent, type RefObject, useId, useState } from "react";
import styles from "./chat.module.css";

interface ComposerProps {
  readonly isBusy: boolean;
  readonly onSend: (text: string) => void;
  readonly onStop: () => void;
  readonly textarea: RefObject<HTMLTextAreaElement | null>;
}

export function Composer({ isBusy, onSend, onStop, textarea }: ComposerProps) {
  const id = useId();
  const [text, setText] = useState("");

  function submit(event: FormEvent): void {
    event.preventDefault();
    if (isBusy) onStop();
    else if (text.trim() === "") textarea.current?.focus();
    else {
      onSend(text);
      setText("");
    }
  }
  function act(event: KeyboardEvent<HTMLTextAreaElement>): void {
    if (event.key === "Escape" && isBusy) onStop();
    // Enter also ends a word that is being composed, as in Japanese; and on a phone it is the way to a new line.
    const isSend = event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing;
    if (!isSend || matchMedia("(hover: none)").matches) return;
    event.preventDefault();
    if (!isBusy) event.currentTarget.form?.requestSubmit();
  }

  return (
    <form className={styles.composer} onSubmit={submit}>
      <label htmlFor={id} className="hidden">
        Message
      </label>
      <textarea
        id={id}
        ref={textarea}
        rows={2}
        placeholder="Message"
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={act}
        aria-describedby={`${id}-hint`}
      />
      <button type="submit" className="primary">
        {isBusy ? "Stop" : "Send"}
      </button>
      <p id={`${id}-hint`} className="hint keys">
        Enter sends, Shift and Enter begin a new line, Escape stops.
      </p>
    </form>
  );
}
