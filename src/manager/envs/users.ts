import { procLink, procNames, procText } from '../../base/proc.ts';
import { connectionAt } from '../../ipc/connection.ts';

/** A process that uses a mount, and how. */
export interface MountUser {
  readonly pid: number;
  readonly command: string;
  readonly use: 'cwd' | 'root' | 'exe' | 'fd' | 'map';
}

/**
 * Finds processes that keep a mount busy, from the links in /proc, which the kernel answers without asking the file system:
 * the mount itself is not touched, so a hung driver can't hang this.
 */
export function mountUsers(mountpoint: string): MountUser[] {
  const inside = (target: string): boolean =>
    target === mountpoint || target.startsWith(`${mountpoint}/`);
  return usersWhere({
    isLink: (link) => inside(procLink(link)),
    isMapping: (line) => line.includes('/') && inside(line.slice(line.indexOf('/'))),
  });
}

/** Finds processes that use a file system which is no longer mounted anywhere, by the number of its connection. */
export function connectionUsers(connection: number): MountUser[] {
  return usersWhere({
    isLink: (link) => connectionAt(link) === connection,
    isMapping: (line) => {
      const [major = '', minor = ''] = (line.split(' ')[3] ?? '').split(':');
      return Number.parseInt(major, 16) === 0 && Number.parseInt(minor, 16) === connection;
    },
  });
}

/** Tests whether a link in /proc, or a line of a process's maps, leads to the file system in question. */
interface Test {
  readonly isLink: (link: string) => boolean;
  readonly isMapping: (line: string) => boolean;
}

function usersWhere(test: Test): MountUser[] {
  const users: MountUser[] = [];
  for (const entry of procNames('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const use = useOf(entry, test);
    if (use) users.push({ pid: Number(entry), command: commandOf(entry), use });
  }
  return users;
}

function useOf(pid: string, { isLink, isMapping }: Test): MountUser['use'] | null {
  for (const link of ['cwd', 'root', 'exe'] as const) {
    if (isLink(`/proc/${pid}/${link}`)) return link;
  }
  if (procNames(`/proc/${pid}/fd`).some((fd) => isLink(`/proc/${pid}/fd/${fd}`))) return 'fd';
  return procText(`/proc/${pid}/maps`).split('\n').some(isMapping) ? 'map' : null;
}

const commandOf = (pid: string): string => procText(`/proc/${pid}/comm`).trim();

/** Describes users as text, such as "bash (pid 12, cwd), nginx (pid 40, fd) and 3 more". */
export function describeUsers(users: readonly MountUser[]): string {
  const shown = users.slice(0, 4).map((user) => `${user.command} (pid ${user.pid}, ${user.use})`);
  const more = users.length - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
}
