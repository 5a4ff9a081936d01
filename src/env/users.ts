import { procLink, procNames, procText } from '../base/proc.ts';

/** A process that uses a mount, and how. */
export interface MountUser {
  readonly pid: number;
  readonly command: string;
  readonly use: 'cwd' | 'root' | 'exe' | 'fd' | 'map';
}

/**
 * Processes that keep a mount busy, from the links in /proc, which the kernel answers without
 * asking the file system: the mount itself is not touched, so a hung driver can't hang this.
 */
export function mountUsers(mountpoint: string): MountUser[] {
  const users: MountUser[] = [];
  for (const entry of procNames('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const use = useOf(entry, mountpoint);
    if (use) users.push({ pid: Number(entry), command: commandOf(entry), use });
  }
  return users;
}

function useOf(pid: string, mountpoint: string): MountUser['use'] | null {
  const inside = (target: string): boolean =>
    target === mountpoint || target.startsWith(`${mountpoint}/`);
  for (const link of ['cwd', 'root', 'exe'] as const) {
    if (inside(procLink(`/proc/${pid}/${link}`))) return link;
  }
  if (procNames(`/proc/${pid}/fd`).some((fd) => inside(procLink(`/proc/${pid}/fd/${fd}`))))
    return 'fd';
  if (mapped(pid).some(inside)) return 'map';
  return null;
}

function mapped(pid: string): string[] {
  const lines = procText(`/proc/${pid}/maps`).split('\n');
  return lines.map((line) => line.slice(line.indexOf('/'))).filter((file) => file.startsWith('/'));
}

const commandOf = (pid: string): string => procText(`/proc/${pid}/comm`).trim();

/** "bash (pid 12, cwd), nginx (pid 40, fd) and 3 more" */
export function describeUsers(users: readonly MountUser[]): string {
  const shown = users.slice(0, 4).map((user) => `${user.command} (pid ${user.pid}, ${user.use})`);
  const more = users.length - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
}
