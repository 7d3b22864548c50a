import type { Generation, GenerationState } from "torchbridge/react";
import { inWords } from "./error-words";
import { Figures } from "./figures";

const STATUS = {
  idle: "Nothing yet",
  waiting: "Waiting for the first word",
  streaming: "Writing",
  done: "Done",
  stopped: "Stopped",
  failed: "Failed",
} as const;

interface AnswerProps {
  readonly generation: GenerationState & Generation;
  readonly label: string;
  /** That it goes on from. */
  readonly prompt: string;
}

export function Answer({ generation, label, prompt }: AnswerProps) {
  const { status, text } = generation;
  const isRetrying = status === "waiting" && generation.retrying !== undefined;
  return (
    <article className="card answer" aria-label={label}>
      <p className={`status ${status}`} role="status">
        {isRetrying ? "The model is not there. Trying again" : STATUS[status]}
      </p>
      {/* Read out when it is whole, and not word by word. */}
      <p className="text" aria-live="polite" aria-busy={status === "waiting" || status === "streaming"}>
        {status === "idle" ? null : <span className="prompt">{prompt}</span>}
        <span className="generated">{text}</span>
        {status === "streaming" ? <span className="caret" aria-hidden="true" /> : null}
      </p>
      {status === "failed" ? (
        <div className="failure" role="alert">
          <p>{inWords(generation.error)}</p>
          <button type="button" onClick={() => void generation.retry()}>
            Retry
          </button>
        </div>
      ) : null}
      <Figures generation={generation} />
    </article>
  );
}
