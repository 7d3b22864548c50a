import { useId } from "react";
import type { Model } from "torchbridge";
import { Parameters } from "../parameters";
import { VersionMenu } from "../version-menu";
import styles from "./chat.module.css";
import type { ChatSettings } from "./settings";

interface SettingsFormProps {
  readonly models: readonly Model[];
  readonly settings: ChatSettings;
  readonly onChange: (settings: ChatSettings) => void;
}

export function SettingsForm({ models, settings, onChange }: SettingsFormProps) {
  const id = useId();
  const { version, system, temperature, maxTokens, tools } = settings;
  return (
    <details className={styles.settings}>
      <summary>
        Settings <span className={styles.facts}>{version || "the default model"}</span>
      </summary>
      <div className="fields">
        <VersionMenu
          label="Version"
          models={models}
          value={version}
          onChange={(version) => onChange({ ...settings, version })}
        />
        <div className="field">
          <label htmlFor={`${id}-tools`}>Tool: the time of day</label>
          <select
            id={`${id}-tools`}
            value={tools}
            onChange={(event) => onChange({ ...settings, tools: event.target.value as ChatSettings["tools"] })}
          >
            <option value="none">not offered</option>
            <option value="auto">when the model wants it</option>
            <option value="required">for each question</option>
          </select>
        </div>
        <Parameters
          values={{ max_length: maxTokens, temperature }}
          onChange={({ max_length, temperature }) => onChange({ ...settings, maxTokens: max_length, temperature })}
        />
        <div className="field wide">
          <label htmlFor={`${id}-system`}>System prompt</label>
          <textarea
            id={`${id}-system`}
            rows={2}
            placeholder="What the model is told before all else"
            value={system}
            onChange={(event) => onChange({ ...settings, system: event.target.value })}
          />
        </div>
      </div>
    </details>
  );
}
