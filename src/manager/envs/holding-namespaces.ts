import { procLink, procNames, procText } from '../../base/proc.ts';
import { mountSource } from '../../ipc/mount-table.ts';

/**
 * A process in another mount namespace that still has an env's mount. Most such namespaces were made while the env was
 * mounted, and got a copy of the mount.
 */
export interface Holding {
  readonly pid: number;
  readonly command: string;
}

/** Finds one process for each such namespace. Reads only /proc. */
export function holdingNamespaces(root: string, env: number): Holding[] {
  const source = ` ${mountSource(root, env).replaceAll(' ', '\\040')} `;
  const seen = new Set([procLink('/proc/self/ns/mnt'), '']);
  const found: Holding[] = [];
  for (const pid of procNames('/proc')) {
    const namespace = /^\d+$/.test(pid) ? procLink(`/proc/${pid}/ns/mnt`) : '';
    if (seen.has(namespace)) continue;
    seen.add(namespace);
    if (!procText(`/proc/${pid}/mountinfo`).includes(source)) continue;
    found.push({ pid: Number(pid), command: procText(`/proc/${pid}/comm`).trim() });
  }
  return found;
}
