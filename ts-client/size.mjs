// `npm run size` fails if what a browser loads of an entry of the package is more than its limit, minified and gzipped. Of
// the entries beside the main one that is all that they need, which they share with it. It is measured with two minifiers,
// as a page's own may be either.
import { gzipSync } from "node:zlib";
import { build } from "rolldown";
import { minify } from "terser";

const LIMITS = { index: 5.15 * 1024, objects: 2.5 * 1024, chat: 4.45 * 1024, resume: 4.3 * 1024, tools: 5.9 * 1024 };

async function bundled(entry, minify) {
  const { output } = await build({ input: `dist/${entry}.js`, platform: "browser", output: { minify }, write: false });
  return output[0].code;
}

for (const [entry, limit] of Object.entries(LIMITS)) {
  const codes = {
    oxc: await bundled(entry, true),
    terser: (await minify(await bundled(entry, false), { module: true })).code,
  };
  for (const [minifier, code] of Object.entries(codes)) {
    const size = gzipSync(code, { level: 9 }).length;
    process.stdout.write(`${entry}.js by ${minifier}: ${size} bytes of ${limit}\n`);
    if (size > limit) process.exitCode = 1;
  }
}
