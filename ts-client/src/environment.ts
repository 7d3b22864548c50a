/** Where the environment says that the gateway is, if it does. */
export function environmentUrl(): string | undefined {
  try {
    const { process } = globalThis as unknown as { process: { env: { TORCHBRIDGE_BASE_URL?: string } } };
    return process.env.TORCHBRIDGE_BASE_URL || undefined;
  } catch {
    return undefined; // a browser has no environment, and Deno may let nobody look
  }
}
