import { expect, it } from "vitest";
import * as torchbridge from "../src/index.js";

it("exports these and no others", () => {
  expect(Object.keys(torchbridge).sort()).toEqual([
    "ApiError",
    "ConnectionError",
    "PythonClient",
    "StreamTruncatedError",
    "TimeoutError",
    "isApiError",
    "isConnectionError",
    "isStreamTruncatedError",
    "isTimeoutError",
    "responseHead",
  ]);
});
