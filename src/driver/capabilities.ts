import { readFileSync } from 'node:fs';
import type { Capabilities } from '../fs/ports.ts';

const CAP_EFF = /^CapEff:\s*([0-9a-f]+)$/m;

/**
 * A caller's capabilities from /proc: with id-mapped mounts allowed, the kernel sends no uid but with
 * requests that create. Asked rarely (a file with trusted.* xattrs is listed, a set-ID file is
 * punched), so a read of /proc is cheap enough. A caller that is gone has none.
 */
export const procCapabilities: Capabilities = {
  has(pid, capability) {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'latin1');
      const effective = BigInt(`0x${CAP_EFF.exec(status)?.[1] ?? '0'}`);
      return ((effective >> BigInt(capability)) & 1n) === 1n;
    } catch {
      return false;
    }
  },
};
