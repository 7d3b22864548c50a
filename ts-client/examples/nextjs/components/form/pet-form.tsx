import { type FormEvent, useId, useRef, useState } from "react";
import type { Model } from "torchbridge";
import type { PartialObject } from "torchbridge/objects";
import { inWords } from "../error-words";
import { Failure } from "../failure";
import { ResponseFigures } from "../figures";
import { VersionMenu } from "../version-menu";
import { asRequested } from "../versions";
import { Pet } from "./pet";
import { PetFields } from "./pet-fields";
import { useObject } from "./use-object";

const EXAMPLE = "Biscuit is a dog. He is six years old, brown and white, and he plays with every child that he meets.";
const STATUS = {
  idle: "Nothing yet",
  waiting: "Reading the note",
  writing: "Filling in",
  done: "Filled in",
  stopped: "Stopped",
  failed: "Failed",
} as const;

/** A note in anybody's words, and the form that the model fills in from it. A person may change what it wrote. */
export function PetForm({ models }: { readonly models: readonly Model[] }) {
  const id = useId();
  const form = useRef<HTMLElement>(null);
  const [note, setNote] = useState(EXAMPLE);
  const [version, setVersion] = useState("");
  const [changed, setChanged] = useState<PartialObject<Pet>>({});
  const { state, generate, stop } = useObject<Pet>();
  const isBusy = state.status === "waiting" || state.status === "writing";

  function fill(): void {
    setChanged({});
    const prompt = `${note}\nThe same pet as JSON: `;
    void generate({ prompt, schema: Pet, temperature: 0, max_length: 300, ...asRequested(version) });
  }
  function retry(): void {
    form.current?.focus(); // the button that has it goes away
    fill();
  }
  function submit(event: FormEvent): void {
    event.preventDefault();
    if (!isBusy) fill();
  }

  return (
    <div className="columns">
      <form className="card" onSubmit={submit}>
        <label htmlFor={id}>A note about a pet</label>
        <textarea id={id} rows={6} required value={note} onChange={(event) => setNote(event.target.value)} />
        <p className="hint">The model reads it and can write nothing that the form does not take.</p>
        <VersionMenu label="Version" models={models} value={version} onChange={setVersion} />
        <div className="buttons">
          <button type="submit" className="primary" aria-disabled={isBusy}>
            Fill in the form
          </button>
          <button type="button" onClick={() => isBusy && stop()} aria-disabled={!isBusy}>
            Stop
          </button>
        </div>
      </form>
      <article className="card" aria-label="Form" aria-busy={isBusy} ref={form} tabIndex={-1}>
        <p className={`status ${isBusy ? "streaming" : state.status}`} role="status">
          {STATUS[state.status]}
        </p>
        {state.status === "failed" ? <Failure words={inWords(state.error)} onRetry={retry} /> : null}
        <PetFields pet={{ ...state.object, ...changed }} onChange={(field) => setChanged({ ...changed, ...field })} />
        {state.status === "done" ? <ResponseFigures response={state.response} /> : null}
      </article>
    </div>
  );
}
