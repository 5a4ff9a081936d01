import { readFileSync } from 'node:fs';
import type { Capabilities } from '../fs/ports.ts';

/**
 * Effective capabilities of a process, from /proc. A process that ended meanwhile, or that this PID
 * namespace doesn't show, has none.
 */
export const capabilities: Capabilities = {
  has(pid, capability) {
    const mask = effective(pid);
    return ((mask >> BigInt(capability)) & 1n) === 1n;
  },
};

function effective(pid: number): bigint {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    return BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  } catch {
    return 0n;
  }
}
