import type { NextConfig } from "next";

const gateway = process.env.TORCHBRIDGE_BASE_URL ?? "http://localhost:8000";

const config: NextConfig = {
  // The app stands inside of another package: without this Next.js takes that one's lock file for its root's.
  turbopack: { root: import.meta.dirname },
  // The gateway without a route handler. It has to send `no-transform` itself, or Next.js compresses and so buffers a stream.
  rewrites: async () => [{ source: "/gateway/:path*", destination: `${gateway}/:path*` }],
};

export default config;
