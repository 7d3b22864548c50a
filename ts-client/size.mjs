// `npm run size` fails if what a browser loads of the package's main entry is more than 4.5 kB, minified and gzipped. It is
// measured with two minifiers, as a page's own may be either.
import { gzipSync } from "node:zlib";
import { build } from "rolldown";
import { minify } from "terser";

const LIMIT = 4.5 * 1024;

async function bundled(minify) {
  const { output } = await build({ input: "dist/index.js", platform: "browser", output: { minify }, write: false });
  return output[0].code;
}

const codes = { oxc: await bundled(true), terser: (await minify(await bundled(false), { module: true })).code };
for (const [minifier, code] of Object.entries(codes)) {
  const size = gzipSync(code, { level: 9 }).length;
  process.stdout.write(`index.js by ${minifier}: ${size} bytes of ${LIMIT}\n`);
  if (size > LIMIT) process.exitCode = 1;
}
