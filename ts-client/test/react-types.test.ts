import { expectTypeOf, it } from "vitest";
import type { GenerationResponse, StartEvent } from "../src/index.js";
import { type GenerationRetry, useGeneration, useObject, useResumableGeneration } from "../src/react.js";

// Hooks that are never called.
const hooks = {
  text: () => useGeneration(),
  resumable: () => useResumableGeneration("story"),
  object: () => useObject<{ name: string }>({ type: "object" }),
};

it("lets a component take any state apart", () => {
  for (const hook of [hooks.text, hooks.resumable, hooks.object]) {
    const taken = (): unknown => {
      const { status, error, start, response, retrying } = hook();
      expectTypeOf(error).toEqualTypeOf<Error | undefined>();
      expectTypeOf(start).toEqualTypeOf<StartEvent | undefined>();
      expectTypeOf(response).toEqualTypeOf<GenerationResponse | undefined>();
      expectTypeOf(retrying).toEqualTypeOf<GenerationRetry | undefined>();
      return status;
    };
    expectTypeOf(taken).returns.toBeUnknown();
  }
  expectTypeOf(hooks.text).returns.toHaveProperty("text").toBeString();
  expectTypeOf(hooks.object).returns.toHaveProperty("object");
});

it("still knows by the status what there is", () => {
  type Of<Hook extends () => unknown, Status> = Extract<ReturnType<Hook>, { status: Status }>;
  expectTypeOf<Of<typeof hooks.text, "failed">["error"]>().toEqualTypeOf<Error>();
  expectTypeOf<Of<typeof hooks.text, "done">["response"]>().toEqualTypeOf<GenerationResponse>();
  expectTypeOf<Of<typeof hooks.text, "done">["error"]>().toEqualTypeOf<undefined>();
  expectTypeOf<Of<typeof hooks.object, "done">["object"]>().toEqualTypeOf<{ name: string }>();
  expectTypeOf<Of<typeof hooks.object, "streaming">["start"]>().toEqualTypeOf<StartEvent>();
});
