import { member, parseJson } from "../contract.js";
import { problemResponse } from "./problem-response.js";

/** See RouteOptions. */
export type Prepare<Body> = (
  request: Request,
  body: Body | undefined,
) => Body | Response | undefined | Promise<Body | Response | undefined>;

/**
 * What to send to the gateway in place of the page's `body`, or the answer that `prepare` gives instead. Each request of a
 * batch goes through `prepare`, so that a page cannot get in a batch what it does not get alone.
 */
export async function preparedBody<Body>(
  request: Request,
  body: Blob,
  isBatch: boolean,
  prepare: Prepare<Body>,
): Promise<string | Response> {
  const sent = parseJson(await body.text());
  if (sent === undefined) {
    const detail = "The request body is not JSON.";
    return problemResponse({ status: 400, title: "The request body is not JSON", code: "malformed_json", detail });
  }
  const items = isBatch ? member(sent, "requests") : [sent];
  if (!Array.isArray(items) || !items.every(isObject<Body>)) {
    const detail = isBatch ? "requests: it has to be a list of objects." : "The request body has to be an object.";
    return problemResponse({ status: 422, title: "The request is not valid", code: "invalid_request", detail });
  }
  const prepared: Body[] = [];
  for (const item of items) {
    const result = await prepare(request, item);
    if (result instanceof Response) return result;
    if (result === undefined) throw new TypeError("prepare was given a body and has returned none");
    prepared.push(result);
  }
  if (items.length > 0) return JSON.stringify(isBatch ? { requests: prepared } : prepared[0]);
  const refusal = await prepare(request, undefined); // an empty batch asks for leave, too
  return refusal instanceof Response ? refusal : JSON.stringify({ requests: [] });
}

/** Of the values of JSON. The fields are as the page sent them: it is the gateway that checks them. */
function isObject<Body>(value: unknown): value is Body {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
