/** The head of an answer. Its body stays the client's. */
export interface ResponseHead {
  /** The HTTP status. */
  readonly status: number;
  /** A copy. */
  readonly headers: Headers;
  /** What to quote when you ask the gateway's operator about this answer. */
  readonly requestId: string | null;
}

const heads = new WeakMap<object, ResponseHead>();

/**
 * The head of the answer that this came with: what a call returned, the `start` or `done` of a stream, or what a call
 * threw after an answer had begun. Undefined for all else.
 */
export function responseHead(result: object): ResponseHead | undefined {
  return heads.get(result);
}

export function headOf({ status, headers }: Response): ResponseHead {
  return { status, headers: new Headers(headers), requestId: headers.get("x-request-id") };
}

/** Whatever a schema has made of an answer, it need not be an object. */
export function keepHead<Result>(result: Result, head: ResponseHead | undefined): Result {
  if (head && Object(result) === result) heads.set(result as object, head);
  return result;
}
