// That our words for the AI SDK's types are its own, and reach a project that has nothing but `ai` and this package.

import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { LanguageModelV4, ProviderV4 } from "@ai-sdk/provider";
import type { LanguageModelV3, ProviderV3 } from "@ai-sdk/provider-3";
import { beforeAll, describe, expect, expectTypeOf, it } from "vitest";
import type { ModelCall } from "../src/ai-sdk/specification.js";
import { createTorchbridge, createTorchbridgeV3, type torchbridge } from "../src/ai-sdk.js";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("..", import.meta.url));
const TSC = join(ROOT, "node_modules/typescript/bin/tsc");
const CLIENTS = join(ROOT, "../tests/openai_clients/node_modules");

it("is a provider of specification V4, and one of V3", () => {
  expectTypeOf(createTorchbridge).returns.toExtend<ProviderV4>();
  expectTypeOf<typeof torchbridge>().toExtend<ProviderV4>();
  expectTypeOf<Parameters<LanguageModelV4["doStream"]>[0]>().toExtend<ModelCall>();
  expectTypeOf(createTorchbridgeV3).returns.toExtend<ProviderV3>();
  expectTypeOf<Parameters<LanguageModelV3["doStream"]>[0]>().toExtend<ModelCall>();
  expect(createTorchbridge().specificationVersion).toBe("v4");
  expect(createTorchbridgeV3().specificationVersion).toBe("v3");
});

it("takes no option that is the SDK's", () => {
  // @ts-expect-error the SDK's own `maxRetries` counts
  createTorchbridge({ maxRetries: 1 });
});

describe("in a project without @ai-sdk/provider", () => {
  let project: string;

  beforeAll(async () => {
    project = await mkdtemp(join(tmpdir(), "torchbridge-"));
    const installed = join(project, "node_modules/torchbridge");
    await mkdir(installed, { recursive: true });
    await run(process.execPath, [TSC, "--project", ROOT, "--outDir", join(installed, "dist")]);
    await cp(join(ROOT, "package.json"), join(installed, "package.json"));
    await symlink(join(ROOT, "node_modules/@types"), join(project, "node_modules/@types"));
  }, 120_000);

  it.each([
    ["ai-6", "createTorchbridgeV3()"],
    ["ai-7", "torchbridge"],
  ])("%s takes the models, and nothing takes them for anything else", async (version, provider) => {
    const directory = join(project, version);
    await mkdir(join(directory, "node_modules"), { recursive: true });
    await symlink(join(CLIENTS, version), join(directory, "node_modules/ai"));
    await writeFile(join(directory, "package.json"), JSON.stringify({ type: "module" }));
    const program = `
      import { createProviderRegistry, customProvider, streamText, wrapLanguageModel } from "ai";
      import { ${provider.replace("()", "")} } from "torchbridge/ai-sdk";
      const torchbridge_ = ${provider};
      streamText({ model: torchbridge_("tiny"), prompt: "Hello" });
      createProviderRegistry({ torchbridge: torchbridge_ }).languageModel("torchbridge:tiny");
      customProvider({ languageModels: { fast: torchbridge_("tiny") } });
      wrapLanguageModel({ model: torchbridge_.languageModel("tiny"), middleware: [] });
      // @ts-expect-error a model is no number: it is not any
      export const number: number = torchbridge_("tiny");
    `;
    await writeFile(join(directory, "program.ts"), program);
    // The declarations of `ai` itself are its own affair.
    const flags = ["--strict", "--noEmit", "--skipLibCheck", "--module", "NodeNext", "--target", "ES2023"];
    const { stdout } = await run(process.execPath, [TSC, ...flags, join(directory, "program.ts")], {
      cwd: directory,
    }).catch((error: { stdout: string }) => error);
    expect(stdout).toBe("");
  });
});
