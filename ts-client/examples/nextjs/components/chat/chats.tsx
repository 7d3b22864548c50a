import { generateId } from "ai";
import { useEffect, useState } from "react";
import type { Model } from "torchbridge";
import { Chat } from "./chat";
import styles from "./chat.module.css";
import { type Conversation, keepOpen, lastOpen, removeConversation, titleOf, useConversations } from "./conversations";
import { START_SETTINGS } from "./settings";
import { stopAnswer } from "./stop-answer";

/** The conversations of this browser, and the one that is open. */
export function Chats({ models }: { readonly models: readonly Model[] }) {
  const conversations = useConversations();
  const [open, setOpen] = useState(emptyConversation);
  const [settings, setSettings] = useState(START_SETTINGS);
  useEffect(() => {
    const last = lastOpen(); // its answer may still be being written
    if (last !== undefined) setOpen(last);
  }, []);
  useEffect(() => keepOpen(open), [open]);

  function remove(id: string): void {
    if (id === open.id) setOpen(emptyConversation());
    removeConversation(id);
    void stopAnswer(id);
  }

  return (
    <div className={styles.chats}>
      <nav aria-label="Conversations" className={styles.conversations}>
        <button type="button" onClick={() => setOpen(emptyConversation())}>
          New chat
        </button>
        <ul>
          {conversations.map((conversation) => (
            <li key={conversation.id}>
              <button
                type="button"
                className={styles.title}
                aria-current={conversation.id === open.id}
                onClick={() => setOpen(conversation)}
              >
                {titleOf(conversation)}
              </button>
              <button
                type="button"
                className={styles.quiet}
                aria-label={`Delete ${titleOf(conversation)}`}
                onClick={() => remove(conversation.id)}
              >
                ×
              </button>
            </li>
          ))}
        </ul>
      </nav>
      <Chat key={open.id} conversation={open} models={models} settings={settings} onSettings={setSettings} />
    </div>
  );
}

function emptyConversation(): Conversation {
  return { id: generateId(), system: "", messages: [] };
}
