// `npm run size` fails if what a browser loads of the package's main entry is more than 4.5 kB, minified and gzipped.
import { gzipSync } from "node:zlib";
import { build } from "rolldown";

const LIMIT = 4.5 * 1024;
const { output } = await build({ input: "dist/index.js", platform: "browser", output: { minify: true }, write: false });
const size = gzipSync(output[0].code, { level: 9 }).length;
process.stdout.write(`index.js: ${size} bytes of ${LIMIT}\n`);
process.exitCode = size > LIMIT ? 1 : 0;
