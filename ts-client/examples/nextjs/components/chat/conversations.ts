import { useSyncExternalStore } from "react";
import type { ChatMessage } from "./chat-message";

/** A chat as this browser keeps it. */
export interface Conversation {
  readonly id: string;
  /** What the model is told before all else. */
  readonly system: string;
  readonly messages: readonly ChatMessage[];
}

const KEY = "torchbridge-conversations";
const OPEN_KEY = "torchbridge-open-conversation";
const MAX_CONVERSATIONS = 50;
const NONE: readonly Conversation[] = [];
const listeners = new Set<() => void>();
const removed = new Set<string>();
let kept: readonly Conversation[] | undefined;

/** Those of this browser, the last one first. */
export function useConversations(): readonly Conversation[] {
  return useSyncExternalStore(subscribe, conversations, () => NONE);
}

/** Not one that was removed while its answer came. */
export function keepConversation(conversation: Conversation): void {
  if (removed.has(conversation.id)) return;
  const others = conversations().filter(({ id }) => id !== conversation.id);
  keep([conversation, ...others].slice(0, MAX_CONVERSATIONS));
}

export function removeConversation(id: string): void {
  removed.add(id);
  keep(conversations().filter((conversation) => conversation.id !== id));
}

/** The one that this tab had open before it was loaded anew. */
export function lastOpen(): Conversation | undefined {
  try {
    const last = sessionStorage.getItem(OPEN_KEY);
    return conversations().find(({ id }) => id === last);
  } catch {
    return undefined; // a browser that keeps nothing
  }
}

export function keepOpen({ id }: Conversation): void {
  try {
    sessionStorage.setItem(OPEN_KEY, id);
  } catch {
    // Then a page that is loaded anew begins with a new one.
  }
}

/** Its first words. */
export function titleOf({ messages }: Conversation): string {
  const part = messages[0]?.parts.find(({ type }) => type === "text");
  return part?.type === "text" ? part.text.slice(0, 60) : "New chat";
}

function conversations(): readonly Conversation[] {
  kept ??= read();
  return kept;
}

function read(): readonly Conversation[] {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "[]");
  } catch {
    return NONE; // a browser that keeps nothing, or something else under our name
  }
}

function keep(conversations: readonly Conversation[]): void {
  kept = conversations;
  try {
    localStorage.setItem(KEY, JSON.stringify(conversations));
  } catch {
    // A browser that keeps nothing, or no more: they live as long as the page.
  }
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener("storage", readAgain);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) window.removeEventListener("storage", readAgain);
  };
}

/** Another page of this browser has kept something. */
function readAgain({ key }: StorageEvent): void {
  if (key !== KEY) return;
  kept = undefined;
  for (const listener of listeners) listener();
}
