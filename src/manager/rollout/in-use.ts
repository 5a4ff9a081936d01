/**
 * Finds the files of mounted envs that processes have open or mapped. It reads /proc alone and touches no mount, so a
 * driver that hangs can't hang this.
 */
import { procLink, procNames, procText } from '../../base/proc.ts';
import { envMounts } from '../../ipc/mount-table.ts';

/** A process that has a file open or mapped. */
export interface FileUser {
  readonly pid: number;
  /** Its command name, as ps(1) shows it. */
  readonly program: string;
  readonly use: 'map' | 'fd';
}

/** Users of files, by env and then by inode number. A process is listed once per file; as mapping it, if it does both. */
export type FilesInUse = ReadonlyMap<number, ReadonlyMap<number, readonly FileUser[]>>;

/**
 * Looks through all processes.
 * @param root of the store whose envs are meant
 * @param except processes that are known to use no files of envs: drivers, which have thousands of files open
 */
export function filesInUse(root: string, except: ReadonlySet<number> = new Set()): FilesInUse {
  const search = new Search(root);
  const pids = procNames('/proc').filter((entry) => /^\d+$/.test(entry));
  for (const pid of pids.map(Number)) if (!except.has(pid)) search.process(pid);
  return search.found;
}

class Search {
  readonly found = new Map<number, Map<number, FileUser[]>>();
  /** Envs by device, "0:45". */
  private readonly envs = new Map<string, number>();
  /** Devices by mount id, as far as they are known. Mount ids are unique on the whole machine. */
  private readonly devices = new Map<number, string>();
  private readonly namespaces = new Set<string>();

  constructor(root: string) {
    for (const { env, connection } of envMounts(root).values()) {
      this.envs.set(`0:${connection}`, env);
    }
    this.readMounts('self');
  }

  process(pid: number): void {
    if (this.envs.size === 0) return;
    for (const { device, ino } of mapped(pid)) this.take(pid, device, ino, 'map');
    for (const { mount, ino } of opened(pid)) {
      this.take(pid, this.deviceOf(pid, mount), ino, 'fd');
    }
  }

  private take(pid: number, device: string | null, ino: number, use: FileUser['use']): void {
    const env = device === null ? undefined : this.envs.get(device);
    if (env === undefined) return;
    const files = this.found.get(env) ?? new Map<number, FileUser[]>();
    const users = files.get(ino) ?? [];
    this.found.set(env, files.set(ino, users));
    if (users.at(-1)?.pid === pid) return;
    users.push({ pid, program: procText(`/proc/${pid}/comm`).trim(), use });
  }

  private deviceOf(pid: number, mount: number): string | null {
    const known = this.devices.get(mount);
    if (known !== undefined) return known;
    // A process sees only its own mount namespace, and of that only what is below its root.
    const place = `${procLink(`/proc/${pid}/ns/mnt`)} ${procLink(`/proc/${pid}/root`)}`;
    if (this.namespaces.has(place)) return null;
    this.namespaces.add(place);
    this.readMounts(String(pid));
    return this.devices.get(mount) ?? null;
  }

  private readMounts(pid: string): void {
    for (const line of procText(`/proc/${pid}/mountinfo`).split('\n')) {
      const [id, , device] = line.split(' ', 3);
      if (device !== undefined) this.devices.set(Number(id), device);
    }
  }
}

/** Parses lines like `7f..-7f.. r-xp 00000000 00:2d 12345  /usr/lib/x`: device in hex, inode number in decimal. */
function* mapped(pid: number): Generator<{ device: string; ino: number }> {
  for (const line of procText(`/proc/${pid}/maps`).split('\n')) {
    const [, , , device = '', ino = '0'] = line.split(/ +/, 5);
    if (ino === '0') continue;
    const [major = '', minor = ''] = device.split(':');
    yield {
      device: `${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}`,
      ino: Number(ino),
    };
  }
}

function* opened(pid: number): Generator<{ mount: number; ino: number }> {
  for (const fd of procNames(`/proc/${pid}/fdinfo`)) {
    const info = procText(`/proc/${pid}/fdinfo/${fd}`);
    const mount = /^mnt_id:\s*(\d+)$/m.exec(info)?.[1];
    const ino = /^ino:\s*(\d+)$/m.exec(info)?.[1];
    if (mount !== undefined && ino !== undefined) yield { mount: Number(mount), ino: Number(ino) };
  }
}
