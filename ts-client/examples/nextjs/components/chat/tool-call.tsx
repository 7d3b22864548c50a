import { getStaticToolName, type ToolUIPart } from "ai";
import styles from "./chat.module.css";

/** What the model asked of this page, and what it got. */
export function ToolCall({ part }: { readonly part: ToolUIPart }) {
  return (
    <p className={styles.tool}>
      <code>
        {getStaticToolName(part)}({JSON.stringify(part.input ?? {})})
      </code>
      <span>{resultOf(part)}</span>
    </p>
  );
}

function resultOf(part: ToolUIPart): string {
  if (part.state === "output-available") return String(part.output);
  return part.state === "output-error" ? part.errorText : "…";
}
