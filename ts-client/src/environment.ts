/** Where the environment says that the gateway is. In a browser there is no environment. */
export function environmentUrl(): string | undefined {
  const { process } = globalThis as { process?: { env?: { TORCHBRIDGE_BASE_URL?: string } } };
  return process?.env?.TORCHBRIDGE_BASE_URL;
}
