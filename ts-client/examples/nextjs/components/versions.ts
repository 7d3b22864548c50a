import type { GenerationRequest, Model } from "torchbridge";

/** `model@version` of each version that can answer. */
export function versionsOf(models: readonly Model[]): string[] {
  return models.flatMap((model) =>
    model.versions.filter((each) => each.ready_workers > 0).map((each) => `${model.name}@${each.version}`),
  );
}

/** What to compare at first: the two newest versions of a model that has two, or else two models. */
export function firstPair(models: readonly Model[]): readonly [string, string] {
  const pairs = models.map((model) => versionsOf([model]).slice(-2)).filter((versions) => versions.length === 2);
  const versions = pairs[0] ?? versionsOf(models);
  return [versions[0] ?? "", versions.at(-1) ?? ""];
}

/** The fields of a request that say which version is to answer it; none for the gateway's default. */
export function asRequested(version: string): Pick<GenerationRequest, "model" | "model_version"> {
  const [model, model_version] = version.split("@");
  return model && model_version ? { model, model_version } : {};
}
