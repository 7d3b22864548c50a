import { useId } from "react";
import type { PartialObject } from "torchbridge/objects";
import { Pet } from "./pet";

interface PetFieldsProps {
  readonly pet: PartialObject<Pet>;
  readonly onChange: (field: PartialObject<Pet>) => void;
}

export function PetFields({ pet, onChange }: PetFieldsProps) {
  const id = useId();
  // A text that is being written may be the beginning of a kind only.
  const kind = Pet.shape.kind.safeParse(pet.kind);
  return (
    <div className="fields">
      <div className="field">
        <label htmlFor={`${id}-name`}>Name</label>
        <input
          id={`${id}-name`}
          autoComplete="off"
          value={pet.name ?? ""}
          onChange={(event) => onChange({ name: event.target.value })}
        />
      </div>
      <div className="field">
        <label htmlFor={`${id}-kind`}>Kind</label>
        <select
          id={`${id}-kind`}
          value={kind.data ?? ""}
          onChange={(event) => onChange({ kind: Pet.shape.kind.parse(event.target.value) })}
        >
          <option value="" disabled />
          {Pet.shape.kind.options.map((option) => (
            <option key={option}>{option}</option>
          ))}
        </select>
      </div>
      <div className="field">
        <label htmlFor={`${id}-age`}>Age in years</label>
        <input
          id={`${id}-age`}
          type="number"
          min={0}
          max={40}
          value={pet.age ?? ""}
          onChange={(event) => onChange({ age: event.target.valueAsNumber || 0 })}
        />
      </div>
      <div className="field check">
        <input
          id={`${id}-children`}
          type="checkbox"
          checked={pet.likes_children ?? false}
          onChange={(event) => onChange({ likes_children: event.target.checked })}
        />
        <label htmlFor={`${id}-children`}>Likes children</label>
      </div>
      <div className="field wide">
        <label htmlFor={`${id}-about`}>About</label>
        <textarea
          id={`${id}-about`}
          rows={4}
          value={pet.about ?? ""}
          onChange={(event) => onChange({ about: event.target.value })}
        />
      </div>
    </div>
  );
}
