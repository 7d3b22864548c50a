import { member } from "./contract.js";

/** Whether this runs in a page, or in a worker of one. */
export function hasPage(): boolean {
  return member(globalThis, "location") !== undefined;
}

/** A variable of the environment. No bundler finds its name here, to put its value in a page's code. */
export function environment(name: string): string | undefined {
  try {
    return (member(member(member(globalThis, "process"), "env"), name) as string | undefined) || undefined;
  } catch {
    return undefined; // Deno may let nobody look
  }
}
