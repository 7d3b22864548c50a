import { useId } from "react";

export interface ParameterValues {
  readonly max_length: number;
  readonly temperature: number;
}

export const START_VALUES: ParameterValues = { max_length: 200, temperature: 0.7 };

interface ParametersProps {
  readonly values: ParameterValues;
  readonly onChange: (values: ParameterValues) => void;
}

export function Parameters({ values, onChange }: ParametersProps) {
  const id = useId();
  return (
    <>
      <div className="field">
        <label htmlFor={`${id}-length`}>
          Most tokens <output>{values.max_length}</output>
        </label>
        <input
          id={`${id}-length`}
          type="range"
          min={10}
          max={900}
          step={10}
          value={values.max_length}
          onChange={(event) => onChange({ ...values, max_length: event.target.valueAsNumber })}
        />
      </div>
      <div className="field">
        <label htmlFor={`${id}-temperature`}>
          Temperature <output>{values.temperature.toFixed(1)}</output>
        </label>
        <input
          id={`${id}-temperature`}
          type="range"
          min={0}
          max={1.5}
          step={0.1}
          value={values.temperature}
          onChange={(event) => onChange({ ...values, temperature: event.target.valueAsNumber })}
        />
      </div>
    </>
  );
}
