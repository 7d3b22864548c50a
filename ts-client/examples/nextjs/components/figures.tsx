import type { GenerationResponse } from "torchbridge";
import type { GenerationState } from "torchbridge/react";

/** Which model answered, and how fast. What was stopped or has failed tells who had begun it. */
export function Figures({ generation }: { readonly generation: GenerationState }) {
  if (generation.status === "idle" || generation.status === "waiting") return null;
  if (generation.status === "done") return <ResponseFigures response={generation.response} />;
  const { start } = generation;
  return start === undefined ? null : <Facts facts={{ Model: `${start.model} ${start.model_version}` }} />;
}

export function ResponseFigures({ response }: { readonly response: GenerationResponse }) {
  const { model, model_version, tokens_generated, generation_time, time_to_first_token, cached } = response;
  return (
    <Facts
      facts={{
        Model: `${model} ${model_version}`,
        Tokens: String(tokens_generated),
        "Tokens per second": (tokens_generated / generation_time).toFixed(0),
        "First token": cached ? "from the cache" : `${(1_000 * time_to_first_token).toFixed(0)} ms`,
      }}
    />
  );
}

export function Facts({ facts }: { readonly facts: Readonly<Record<string, string>> }) {
  return (
    <dl className="figures">
      {Object.entries(facts).map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
