import { gatewayRoute, type Methods, type RouteOptions } from "./route/gateway-route.js";
import type { GenerationRequest } from "./schema.gen.js";

const GENERATION: Methods<GatewayPath> = {
  "/generate": ["POST"],
  "/generate/batch": ["POST"],
  "/generate/stream": ["POST", "DELETE"],
  "/models": ["GET"],
  "/readyz": ["GET"],
};
const CHAT: Methods<ChatPath> = {
  "/chat/ui": ["POST"],
  "/chat/ui/{id}/stream": ["GET", "DELETE"],
  "/v1/chat/completions": ["POST"],
};

/** What a route can stand for: these addresses of the gateway, and no others. */
export type GatewayPath = "/generate" | "/generate/batch" | "/generate/stream" | "/models" | "/readyz";

/**
 * What a route of chats can stand for: what `useChat` calls, its last answer that is found again or stopped, and what `chat`
 * and clients of OpenAI's API call.
 */
export type ChatPath = "/chat/ui" | "/chat/ui/{id}/stream" | "/v1/chat/completions";

/** A chat as a page sends it: its messages are as the AI SDK or as OpenAI's API has them. */
export interface ChatBody {
  /** As the AI SDK's `useChat` keeps them for /chat/ui, and as OpenAI's API has them for the other address. */
  readonly messages?: readonly unknown[];
  /** A model's name, or `name@version`. */
  readonly model?: string;
  /** The longest answer. */
  readonly max_tokens?: number;
  /** Any other field of /v1/chat/completions. */
  readonly [field: string]: unknown;
}

/** Where the gateway is, and what the route sends it. */
export type GenerateRouteOptions = RouteOptions<GatewayPath, GenerationRequest>;

/** The same of chats. */
export type ChatRouteOptions = RouteOptions<ChatPath, ChatBody>;

/**
 * A route handler that hands a page's requests to the gateway and its answers back, as they come: with status, problem and
 * request id. A page that goes away cancels its request, also on the gateway. It tries nothing again: the page's client does.
 *
 *     // app/api/[...path]/route.ts
 *     const route = createGenerateRoute(); // TORCHBRIDGE_BASE_URL is the gateway, TORCHBRIDGE_API_KEY its key
 *     export { route as GET, route as POST, route as DELETE };
 *
 * It never throws, but for what is Next.js's own: `redirect()` and its like within `prepare`.
 *
 * @throws TypeError where `baseUrl` is no address of a gateway.
 */
export function createGenerateRoute(options: GenerateRouteOptions = {}): (request: Request) => Promise<Response> {
  return gatewayRoute(GENERATION, options);
}

/**
 * The same for chats, by themselves: what `prepare` has to look at is another body than that of a generation.
 *
 *     // app/api/chat/[...path]/route.ts, with useChat({ transport: new DefaultChatTransport({ api: "/api/chat/ui" }) })
 *     const route = createChatRoute({ prepare: (request, body) => body && { ...body, max_tokens: 500 } });
 *     export { route as GET, route as POST, route as DELETE };
 *
 * @throws TypeError where `baseUrl` is no address of a gateway.
 */
export function createChatRoute(options: ChatRouteOptions = {}): (request: Request) => Promise<Response> {
  return gatewayRoute(CHAT, options);
}
