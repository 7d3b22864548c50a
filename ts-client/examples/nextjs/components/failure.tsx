interface FailureProps {
  /** What went wrong, for who sits before the page. */
  readonly words: string;
  readonly onRetry: () => void;
}

export function Failure({ words, onRetry }: FailureProps) {
  return (
    <div className="failure" role="alert">
      <p>{words}</p>
      <button type="button" onClick={onRetry}>
        Retry
      </button>
    </div>
  );
}
