import { generationStream } from "../src/readable.js";

/** Has a function that yields events take the place of `streamText`. */
export function tellingStream<Told extends Parameters<typeof generationStream>[0], Given extends unknown[]>(
  tell: (...given: Given) => Told,
) {
  return (...given: Given) => generationStream(tell(...given), () => undefined);
}
