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
  function submitByKey(event: KeyboardEvent): void {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
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
      <p id={`${id}-hint`} className="hint">
        Ctrl and Enter generate.
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
