import type { Problem } from "../schema.gen.js";

/** A failure as the gateway would tell it. */
export function problemResponse(
  facts: Pick<Problem, "status" | "title" | "code" | "detail"> & Partial<Pick<Problem, "retryable" | "retry_after">>,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const problem: Problem = {
    type: `urn:torchbridge:error:${facts.code}`,
    request_id: null,
    retryable: false,
    retry_after: null,
    errors: [],
    ...facts,
  };
  const all = new Headers({ ...headers, "content-type": "application/problem+json", "cache-control": "no-store" });
  if (problem.retry_after !== null) all.set("retry-after", String(problem.retry_after));
  return new Response(JSON.stringify(problem), { status: problem.status, headers: all });
}
