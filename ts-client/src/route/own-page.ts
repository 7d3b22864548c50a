/**
 * Whether it is a page of this very site that asks, or one of `allowedOrigins`, or no page at all: what is not a browser says
 * neither of the two headers, and nobody's cookies are with it.
 *
 * `Sec-Fetch-Site` is the browser's own word (https://www.w3.org/TR/fetch-metadata/). Those that do not say it yet say the
 * origin, which has to be the host that they have asked.
 */
export function isOwnPage(request: Request, allowedOrigins: readonly string[]): boolean {
  const { headers } = request;
  const origin = headers.get("origin");
  if (origin !== null && allowedOrigins.includes(origin)) return true;
  const site = headers.get("sec-fetch-site");
  if (site !== null) return site === "same-origin" || site === "none";
  if (origin === null) return true;
  // A proxy before the route gives it another host, and says here which one was asked for.
  const asked = headers.get("x-forwarded-host") ?? headers.get("host") ?? new URL(request.url).host;
  return hostOf(origin) === asked.split(",")[0]?.trim().toLowerCase();
}

function hostOf(origin: string): string | undefined {
  try {
    return new URL(origin).host;
  } catch {
    return undefined; // "null": a page of no site
  }
}
