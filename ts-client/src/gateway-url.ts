import { environment, hasPage } from "./environment.js";

/**
 * Where the gateway is, without a slash at its end: as given, or as the environment says, or a default.
 *
 * @throws TypeError where that is no address of one.
 */
export function gatewayUrl(given: string | URL | undefined): string {
  const url = String(given ?? environment("TORCHBRIDGE_BASE_URL") ?? (hasPage() ? "/api" : "http://localhost:8000"));
  // What a URL may have beside, requests would lose, or `fetch` would take for a broken network.
  const isPlain = !/[?#\s]|^(https?:)?[/\\]{2,}[^/\\]*@/i.test(url);
  if (!/^(https?:\/)?\//i.test(url) || !isPlain || !isComplete(url)) {
    const shown = /[@?#\s]/.test(url) ? "" : ` ${JSON.stringify(url)}`; // else it may hold a secret
    throw new TypeError(
      `Not the address of a gateway${shown}: it begins with http:// or https://, or in a page with /, and has no user, query or fragment`,
    );
  }
  return url.replace(/\/+$/, "");
}

/** @throws TypeError where an address without a host has no page to belong to. */
export function checkReachable(url: string): void {
  if (/^h/i.test(url) || hasPage()) return;
  throw new TypeError(`No page's server to find ${url} at: outside of a browser an address needs http:// and a host`);
}

function isComplete(url: string): boolean {
  try {
    return url[0] === "/" || Boolean(new URL(url)); // React Native's has no `host` to ask for
  } catch {
    return false;
  }
}
