import type { NextConfig } from "next";

const config: NextConfig = {
  // The app stands inside of another package: without this Next.js takes that one's lock file for its root's.
  turbopack: { root: import.meta.dirname },
};

export default config;
