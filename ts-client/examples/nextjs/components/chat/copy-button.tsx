import { useEffect, useState } from "react";
import styles from "./chat.module.css";

const SHOWN_MS = 2_000;

export function CopyButton({ text }: { readonly text: string }) {
  const [told, setTold] = useState<string>();
  useEffect(() => {
    if (told === undefined) return;
    const timer = setTimeout(() => setTold(undefined), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [told]);

  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
      setTold("Copied");
    } catch {
      setTold("The browser does not let this page copy"); // it may ask for HTTPS, or for leave
    }
  }

  return (
    <button type="button" className={styles.quiet} onClick={() => void copy()}>
      <span aria-live="polite">{told ?? "Copy"}</span>
    </button>
  );
}
