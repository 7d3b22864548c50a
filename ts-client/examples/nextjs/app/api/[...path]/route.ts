import { createGenerateRoute } from "torchbridge/next";

// What of the gateway the page uses, and no more. Here is the place for `prepare`, which asks who it is and says how much.
const route = createGenerateRoute({
  paths: ["/generate/stream", "/models"],
});

export { route as GET, route as POST, route as DELETE };

/** Seconds that a host such as Vercel lets a stream run. vercel.json lets a page that leaves end it. */
export const maxDuration = 300;
