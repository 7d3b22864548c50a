import { type FormEvent, useId, useRef, useState } from "react";
import type { Model } from "torchbridge";
import type { PartialObject } from "torchbridge/objects";
import { useObject } from "torchbridge/react";
import { inWords } from "../error-words";
import { Failure } from "../failure";
import { ResponseFigures } from "../figures";
import { VersionMenu } from "../version-menu";
import { asRequested } from "../versions";
import { Pet } from "./pet";
import { PetFields } from "./pet-fields";

const EXAMPLE = "Biscuit is a dog. He is six years old, brown and white, and he plays with every child that he meets.";
const STATUS = {
  idle: "Nothing yet",
  waiting: "Reading the note",
  streaming: "Filling in",
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
  const filled = useObject(Pet);
  const isBusy = filled.status === "waiting" || filled.status === "streaming";

  function fill(): void {
    setChanged({});
    const prompt = `${note}\nThe same pet as JSON: `;
    void filled.generate({ prompt, temperature: 0, max_length: 300, ...asRequested(version) });
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
          <button type="button" onClick={() => isBusy && filled.stop()} aria-disabled={!isBusy}>
            Stop
          </button>
        </div>
      </form>
      <article className="card" aria-label="Form" aria-busy={isBusy} ref={form} tabIndex={-1}>
        <p className={`status ${isBusy ? "streaming" : filled.status}`} role="status">
          {STATUS[filled.status]}
        </p>
        {filled.status === "failed" ? <Failure words={inWords(filled.error)} onRetry={retry} /> : null}
        <PetFields pet={{ ...filled.object, ...changed }} onChange={(field) => setChanged({ ...changed, ...field })} />
        {filled.status === "done" ? <ResponseFigures response={filled.response} /> : null}
      </article>
    </div>
  );
}
