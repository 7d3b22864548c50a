import { useId } from "react";
import type { Model } from "torchbridge";
import { versionsOf } from "./versions";

interface VersionMenuProps {
  readonly label: string;
  readonly models: readonly Model[];
  readonly value: string;
  readonly onChange: (version: string) => void;
  /** Whether there is no choice of the default. */
  readonly isOne?: boolean;
}

export function VersionMenu({ label, models, value, onChange, isOne = false }: VersionMenuProps) {
  const id = useId();
  const versions = versionsOf(models);
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => onChange(event.target.value)}>
        {isOne ? null : <option value="">the default</option>}
        {isOne && versions.length === 0 ? <option value="">none is served</option> : null}
        {versions.map((version) => (
          <option key={version} value={version}>
            {version}
          </option>
        ))}
      </select>
    </div>
  );
}
