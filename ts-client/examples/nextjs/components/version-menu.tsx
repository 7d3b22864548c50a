import { useId } from "react";
import type { Model } from "torchbridge";

/** `model@version` of each version that can answer. */
export function versionsOf(models: readonly Model[]): string[] {
  return models.flatMap((model) =>
    model.versions.filter((each) => each.ready_workers > 0).map((each) => `${model.name}@${each.version}`),
  );
}

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
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => onChange(event.target.value)}>
        {isOne ? null : <option value="">the default</option>}
        {versionsOf(models).map((version) => (
          <option key={version} value={version}>
            {version}
          </option>
        ))}
      </select>
    </div>
  );
}
