import { useState } from "react";
import type { Model } from "torchbridge";
import { useResumableGeneration } from "torchbridge/react";
import { Answer } from "./answer";
import { Parameters, type ParameterValues, START_VALUES } from "./parameters";
import { PromptForm } from "./prompt-form";
import { VersionMenu } from "./version-menu";
import { asRequested, firstPair } from "./versions";

/** The same prompt for two versions, side by side. */
export function Compare({ models }: { readonly models: readonly Model[] }) {
  const [values, setValues] = useState<ParameterValues>({ ...START_VALUES, temperature: 0 });
  const [chosen, setChosen] = useState<readonly [string, string]>(["", ""]);
  const left = useResumableGeneration("left");
  const right = useResumableGeneration("right");
  const sides = [left, right] as const;
  const first = firstPair(models);
  const shown = [chosen[0] || first[0], chosen[1] || first[1]] as const;
  const isBusy = sides.some(({ status }) => status === "waiting" || status === "streaming");

  function generate(prompt: string): void {
    void left.generate({ prompt, ...values, ...asRequested(shown[0]) });
    void right.generate({ prompt, ...values, ...asRequested(shown[1]) });
  }

  function stop(): void {
    for (const side of sides) side.stop();
  }

  return (
    <>
      <div className="card">
        <PromptForm isBusy={isBusy} onGenerate={generate} onStop={stop}>
          <VersionMenu
            label="Left"
            models={models}
            value={shown[0]}
            onChange={(left) => setChosen([left, shown[1]])}
            isOne
          />
          <VersionMenu
            label="Right"
            models={models}
            value={shown[1]}
            onChange={(right) => setChosen([shown[0], right])}
            isOne
          />
          <Parameters values={values} onChange={setValues} />
        </PromptForm>
        {first[0] !== "" && first[0] === first[1] ? (
          <p className="hint">One version alone is served. Deploy another one to compare it.</p>
        ) : null}
      </div>
      <div className="columns even">
        <Answer generation={left} label={`Answer of ${shown[0] || "the left version"}`} />
        <Answer generation={right} label={`Answer of ${shown[1] || "the right version"}`} />
      </div>
    </>
  );
}
