import { type RefObject, useEffect, useRef } from "react";

const NEAR_PX = 80;

/** Of a list that scrolls: keeps its end in sight while it grows, unless its reader has scrolled up. */
export function useEndInSight<Element extends HTMLElement>(growing: unknown): RefObject<Element | null> {
  const list = useRef<Element>(null);
  const isNearEnd = useRef(true);
  useEffect(() => {
    const element = list.current;
    function look(): void {
      if (element === null) return;
      isNearEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PX;
    }
    element?.addEventListener("scroll", look, { passive: true });
    return () => element?.removeEventListener("scroll", look);
  }, []);
  useEffect(() => {
    if (isNearEnd.current) list.current?.scrollTo({ top: list.current.scrollHeight });
  }, [growing]);
  return list;
}
