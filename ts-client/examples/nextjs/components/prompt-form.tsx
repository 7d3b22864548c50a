import { type FormEvent, type KeyboardEvent, type ReactNode, useId, useState } from "react";

interface PromptFormProps {
  readonly isBusy: boolean;
  readonly onGenerate: (prompt: string) => void;
  readonly onStop: () => void;
  readonly children: ReactNode;
}

export function PromptForm({ isBusy, onGenerate, onStop, children }: PromptFormProps) {
  const id = useId();
  const [prompt, setPrompt] = useState("Once upon a time");

  function submit(event: FormEvent): void {
    event.preventDefault();
    if (!isBusy) onGenerate(prompt);
  }
  function submitByKey(event: KeyboardEvent<HTMLTextAreaElement>): void {
    // As the button does it: the browser says what is missing.
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.currentTarget.form?.requestSubmit();
  }

  return (
    <form onSubmit={submit}>
      <label htmlFor={id}>Prompt</label>
      <textarea
        id={id}
        rows={4}
        required
        value={prompt}
        onChange={(event) => setPrompt(event.target.value)}
        onKeyDown={submitByKey}
        aria-describedby={`${id}-hint`}
      />
      <p id={`${id}-hint`} className="hint keys">
        Ctrl or ⌘ with Enter generates.
      </p>
      <div className="fields">{children}</div>
      {/* Not `disabled`, which would take the focus from who has just pressed it. */}
      <div className="buttons">
        <button type="submit" className="primary" aria-disabled={isBusy}>
          Generate
        </button>
        <button type="button" onClick={onStop} aria-disabled={!isBusy}>
          Stop
        </button>
      </div>
    </form>
  );
}
