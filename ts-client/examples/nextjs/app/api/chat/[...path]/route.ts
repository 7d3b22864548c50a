import { createChatRoute } from "torchbridge/next";

// What `useChat` calls, and no more. Here is the place for `prepare`, which asks who it is and says how much.
export const POST = createChatRoute({ apiKey: process.env.TORCHBRIDGE_API_KEY, paths: ["/chat/ui"] });

/** Seconds that a host such as Vercel lets a stream run. vercel.json lets a page that leaves end it. */
export const maxDuration = 300;
