/**
 * Capabilities that an env may be given beyond those that each has. They hold in its own user namespace, over what is its own. Those
 * that are missing reach the machine (modules, time, raw devices), or open much of the kernel to whoever has them (CAP_SYS_ADMIN, CAP_BPF).
 */
export const MORE_CAPABILITIES = [
  'CAP_DAC_READ_SEARCH',
  'CAP_IPC_LOCK',
  'CAP_IPC_OWNER',
  'CAP_LEASE',
  'CAP_LINUX_IMMUTABLE',
  'CAP_NET_ADMIN',
  'CAP_NET_BROADCAST',
  'CAP_SYS_NICE',
  'CAP_SYS_PTRACE',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TTY_CONFIG',
] as const;

/** Returns a capability by its name, with or without CAP_, in any case; null if it is none that may be given. */
export function moreCapability(text: string): string | null {
  const name = `CAP_${text.toUpperCase().replace(/^CAP_/, '')}`;
  return MORE_CAPABILITIES.find((each) => each === name) ?? null;
}
