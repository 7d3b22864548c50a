import { useState } from "react";
import type { Model } from "torchbridge";
import { useResumableGeneration } from "torchbridge/react";
import { Answer } from "./answer";
import { Parameters, type ParameterValues, START_VALUES } from "./parameters";
import { PromptForm } from "./prompt-form";
import { VersionMenu } from "./version-menu";
import { asRequested } from "./versions";

/** A prompt, and the text that goes on from it. */
export function Generate({ models }: { readonly models: readonly Model[] }) {
  const generation = useResumableGeneration("generate"); // found again by a page that is loaded anew
  const [values, setValues] = useState<ParameterValues>(START_VALUES);
  const [version, setVersion] = useState("");
  const isBusy = generation.status === "waiting" || generation.status === "streaming";

  function generate(prompt: string): void {
    void generation.generate({ prompt, ...values, ...asRequested(version) });
  }

  return (
    <div className="columns">
      <div className="card">
        <PromptForm isBusy={isBusy} onGenerate={generate} onStop={generation.stop}>
          <VersionMenu label="Version" models={models} value={version} onChange={setVersion} />
          <Parameters values={values} onChange={setValues} />
        </PromptForm>
      </div>
      <Answer generation={generation} label="Answer" />
    </div>
  );
}
