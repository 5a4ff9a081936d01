/** Follows how the mounts of envs keep access times, from the kernel's table of mounts, which a remount changes too. */
import { envMounts } from '../../ipc/mount-table.ts';
import { native } from '../../native/binding.ts';
import type { AccessRules } from '../core/ports.ts';

/** The table is read at most once in this time, in ms: with many mounts it is long, and mounts come in bursts. */
const READ_MS = 200;

/** Returns the rules of a mount with these options. A read-only one updates no access times. */
function rulesOf(options: readonly string[]): AccessRules {
  const has = (option: string): boolean => options.includes(option);
  if (has('ro') || has('noatime')) return { files: 'noatime', dirs: 'noatime' };
  const files = has('relatime') ? 'relatime' : 'strictatime';
  return { files, dirs: has('nodiratime') ? 'noatime' : files };
}

type Apply = (rules: AccessRules) => void;

/** Keeps the rules of the envs that this process serves up to date. */
export class MountedRules {
  private readonly root: string;
  private readonly followed = new Map<number, Apply>();
  private watching = false;
  private timer: NodeJS.Timeout | null = null;
  private changed = false;

  constructor(root: string) {
    this.root = root;
  }

  /**
   * Calls `apply` with the rules of the env's mount, after each change of the table, and now unless they are those of a mount
   * without flags.
   */
  follow(env: number, mountFlags: number, apply: Apply): void {
    this.followed.set(env, apply);
    if (!this.watching) native.watchMounts(() => this.onChange());
    this.watching = true;
    this.changed = true;
    if (mountFlags !== 0) this.read();
    else this.readLater();
  }

  leave(env: number): void {
    this.followed.delete(env);
  }

  private onChange(): void {
    this.changed = true;
    if (this.timer === null) this.read();
  }

  private readLater(): void {
    if (this.timer !== null) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      this.read();
    }, READ_MS);
    this.timer.unref();
  }

  private read(): void {
    if (!this.changed || this.followed.size === 0) return;
    this.changed = false;
    const mounts = envMounts(this.root);
    for (const [env, apply] of this.followed) {
      const mount = mounts.get(env);
      if (mount !== undefined) apply(rulesOf(mount.options.split(',')));
    }
    this.readLater();
  }
}
