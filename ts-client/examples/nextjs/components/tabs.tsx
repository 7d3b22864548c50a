import { type KeyboardEvent, type ReactNode, useEffect, useState } from "react";

export interface Tab {
  readonly id: string;
  readonly label: string;
  readonly panel: ReactNode;
}

/**
 * By the pattern of the ARIA authoring practices: arrows move between them. A panel that is not seen keeps its state. The
 * page's address has the one that is seen, so that a page that is loaded anew shows it.
 */
export function Tabs({ label, tabs }: { readonly label: string; readonly tabs: readonly Tab[] }) {
  const [selected, setSelected] = useState(tabs[0]?.id);
  useEffect(() => {
    const named = tabs.find(({ id }) => `#${id}` === location.hash);
    if (named !== undefined) setSelected(named.id);
  }, [tabs]);

  function select(id: string | undefined): void {
    setSelected(id);
    history.replaceState(null, "", `#${id}`);
  }
  function move(event: KeyboardEvent): void {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined) return;
    const index = tabs.findIndex(({ id }) => id === selected) + step;
    const next = tabs[(index + tabs.length) % tabs.length];
    select(next?.id);
    document.getElementById(`tab-${next?.id}`)?.focus();
  }

  return (
    <>
      <div role="tablist" aria-label={label} className="tabs">
        {tabs.map(({ id, label }) => (
          <button
            key={id}
            id={`tab-${id}`}
            type="button"
            role="tab"
            aria-selected={selected === id}
            aria-controls={`panel-${id}`}
            tabIndex={selected === id ? 0 : -1}
            onClick={() => select(id)}
            onKeyDown={move}
          >
            {label}
          </button>
        ))}
      </div>
      {tabs.map(({ id, panel }) => (
        <section key={id} id={`panel-${id}`} role="tabpanel" aria-labelledby={`tab-${id}`} hidden={selected !== id}>
          {panel}
        </section>
      ))}
    </>
  );
}
