import { procText } from '../../../base/proc.ts';
import { groupOf } from './cgroups.ts';

/**
 * Returns the unit of an env's systemd that a process belongs to, such as nginx.service; null if it is in none. systemd notes it
 * as the process's control group.
 */
export function unitOf(root: string, env: number, pid: number): string | null {
  const own = `${groupOf(root, env)}/`;
  const lines = procText(`/proc/${pid}/cgroup`).split('\n');
  const group = lines
    .filter((line) => line.startsWith('0::') || line.includes(':name=systemd:'))
    .map((line) => line.slice(line.indexOf(':', line.indexOf(':') + 1) + 1))
    .find((at) => at.startsWith(own));
  const names = group?.slice(own.length).split('/') ?? [];
  // A user's own services are below the service of that user's systemd.
  return names.find((name) => /[.](?:service|scope)$/.test(name)) ?? null;
}
