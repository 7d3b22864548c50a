import { createChatRoute } from "torchbridge/next";

// What `useChat` calls, and no more. Here is the place for `prepare`, which asks who it is and says how much, and for
// `headers`, where an `x-user` of the session keeps each one's answers from the others.
const route = createChatRoute({
  paths: ["/chat/ui", "/chat/ui/{id}/stream"],
});

export { route as GET, route as POST, route as DELETE };

/** Seconds that a host such as Vercel lets a stream run. vercel.json lets a page that leaves end it. */
export const maxDuration = 300;
