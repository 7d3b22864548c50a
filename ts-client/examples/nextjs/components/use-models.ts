import { useEffect, useState } from "react";
import { type Model, PythonClient } from "torchbridge";

const RETRY_MS = 3_000;

/** What the gateway serves, as far as is known, and why it could not say so when it was asked last. */
export interface ServedModels {
  readonly models: readonly Model[];
  readonly error: Error | undefined;
}

/** Asks again while the gateway is not there, and whenever the page is looked at again: versions come and go. */
export function useModels(): ServedModels {
  const [served, setServed] = useState<ServedModels>({ models: [], error: undefined });
  useEffect(() => {
    const client = new PythonClient({ baseUrl: "/api", maxRetries: 0 });
    const controller = new AbortController();
    const { signal } = controller;
    let timer: ReturnType<typeof setTimeout> | undefined;

    async function ask(): Promise<void> {
      clearTimeout(timer);
      try {
        const { models } = await client.models({ signal });
        setServed({ models, error: undefined });
      } catch (error) {
        if (signal.aborted) return;
        setServed(({ models }) => ({ models, error: error as Error }));
        timer = setTimeout(() => void ask(), RETRY_MS);
      }
    }
    function askAgain(): void {
      if (document.visibilityState === "visible") void ask();
    }

    void ask();
    document.addEventListener("visibilitychange", askAgain);
    return () => {
      controller.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", askAgain);
    };
  }, []);
  return served;
}
