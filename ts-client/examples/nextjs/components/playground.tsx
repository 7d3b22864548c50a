"use client";

import { type KeyboardEvent, useEffect, useState } from "react";
import { type Model, PythonClient } from "torchbridge";
import { Compare } from "./compare";
import { Generate } from "./generate";

const TABS = [
  { id: "generate", label: "Generate" },
  { id: "compare", label: "Compare versions" },
] as const;

type Tab = (typeof TABS)[number]["id"];

/** Two tabs, by the pattern of the ARIA authoring practices: arrows move between them. */
export function Playground() {
  const [tab, setTab] = useState<Tab>("generate");
  const [models, setModels] = useState<readonly Model[]>([]);
  useEffect(() => {
    const controller = new AbortController();
    new PythonClient("/api").models({ signal: controller.signal }).then(
      (list) => setModels(list.models),
      () => undefined, // the menus are then without choices; asking says why
    );
    return () => controller.abort();
  }, []);

  function move(event: KeyboardEvent): void {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const next = tab === "generate" ? "compare" : "generate";
    setTab(next);
    document.getElementById(`tab-${next}`)?.focus();
  }

  return (
    <>
      <div role="tablist" aria-label="What to do" className="tabs">
        {TABS.map(({ id, label }) => (
          <button
            key={id}
            id={`tab-${id}`}
            type="button"
            role="tab"
            aria-selected={tab === id}
            aria-controls={`panel-${id}`}
            tabIndex={tab === id ? 0 : -1}
            onClick={() => setTab(id)}
            onKeyDown={move}
          >
            {label}
          </button>
        ))}
      </div>
      {TABS.map(({ id }) => (
        <section key={id} id={`panel-${id}`} role="tabpanel" aria-labelledby={`tab-${id}`} hidden={tab !== id}>
          {id === "generate" ? <Generate models={models} /> : <Compare models={models} />}
        </section>
      ))}
    </>
  );
}
