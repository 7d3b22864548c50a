import { problemResponse } from "./problem-response.js";

/** The body, or why there is none: it is longer than it may be, told as soon as that shows, or it broke off. */
export async function readBody(request: Request, maxBytes: number): Promise<Blob | Response> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  const reader = request.body?.getReader();
  try {
    for (let piece = await reader?.read(); piece !== undefined && !piece.done; piece = await reader?.read()) {
      size += piece.value.length;
      if (size > maxBytes) break;
      pieces.push(piece.value);
    }
  } catch {
    const detail = "The request body broke off before its end.";
    return problemResponse({ status: 400, title: "The request is not whole", code: "malformed_http", detail });
  }
  if (size <= maxBytes) return new Blob(pieces);
  reader?.cancel().catch(() => undefined);
  const detail = `The request body has more than ${maxBytes} bytes.`;
  return problemResponse({ status: 413, title: "The request body is too large", code: "payload_too_large", detail });
}
