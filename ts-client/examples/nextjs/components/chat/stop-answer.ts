export const API = "/api/chat/ui";

/** Stops a chat's answer for good: to a gateway that keeps streams, who only leaves looks like a page that is reloaded. */
export async function stopAnswer(chatId: string): Promise<void> {
  const address = `${API}/${encodeURIComponent(chatId)}/stream`;
  await fetch(address, { method: "DELETE", keepalive: true }).catch(() => undefined); // it ends by itself, too
}
