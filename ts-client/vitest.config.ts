import { defineConfig } from "vitest/config";

const source = (file: string): string => new URL(`src/${file}.ts`, import.meta.url).pathname;

export default defineConfig({
  // The example's own files, with the sources of today in the place of an installed package.
  resolve: {
    alias: [
      { find: /^torchbridge\/(.*)$/, replacement: source("$1") },
      { find: /^torchbridge$/, replacement: source("index") },
    ],
  },
});
