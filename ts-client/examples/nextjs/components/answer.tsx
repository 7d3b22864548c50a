import { useEffect, useRef } from "react";
import type { Generation, GenerationState } from "torchbridge/react";
import { inWords } from "./error-words";
import { Failure } from "./failure";
import { Figures } from "./figures";

const STATUS = {
  idle: "Nothing yet",
  waiting: "Waiting for the first word",
  streaming: "Writing",
  done: "Done",
  stopped: "Stopped",
  failed: "Failed",
} as const;
const MAX_PROMPT_SHOWN = 600;

interface AnswerProps {
  readonly generation: GenerationState & Generation;
  readonly label: string;
}

export function Answer({ generation, label }: AnswerProps) {
  const article = useRef<HTMLElement>(null);
  const { status, text, request } = generation;
  const isRetrying = status === "waiting" && generation.retrying !== undefined;
  useEffect(() => {
    // On a phone the answer is below what asks for it.
    if (status === "waiting") article.current?.scrollIntoView({ block: "nearest" });
  }, [status]);

  function retry(): void {
    article.current?.focus(); // the button that has it goes away
    void generation.retry();
  }

  return (
    <article className="card answer" aria-label={label} ref={article} tabIndex={-1}>
      <p className={`status ${status}`} role="status">
        {isRetrying ? "The model is not there. Trying again" : STATUS[status]}
      </p>
      {status === "failed" ? <Failure words={inWords(generation.error)} onRetry={retry} /> : null}
      {/* Read out when it is whole, and not word by word. */}
      <p className="text" aria-live="polite" aria-busy={status === "waiting" || status === "streaming"}>
        {status === "idle" ? null : <span className="prompt">{endOf(request?.prompt ?? "")}</span>}
        <span className="generated">{text}</span>
        {status === "streaming" ? <span className="caret" aria-hidden="true" /> : null}
      </p>
      <Figures generation={generation} />
    </article>
  );
}

/** As much of a long prompt as tells where the answer goes on from. */
function endOf(prompt: string): string {
  return prompt.length > MAX_PROMPT_SHOWN ? `… ${prompt.slice(-MAX_PROMPT_SHOWN)}` : prompt;
}
