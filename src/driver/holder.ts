import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { ByrefError } from '../base/error.ts';
import { VERSION } from '../base/version.ts';
import { envMounts } from '../control/mount-table.ts';
import type { HeldDevice, HolderStatus, HolderVerbs } from '../control/protocol.ts';
import type { Handlers } from '../control/server.ts';
import { native } from '../native/binding.ts';
import type { Log } from '../observe/log.ts';

interface Held extends HeldDevice {
  /** This process's copy. */
  readonly fd: number;
  /** The driver's connection; when it ends, the driver has ended. */
  readonly driver: Socket;
}

/**
 * Holds a second copy of every /dev/fuse descriptor of a root, and does nothing with them: while it
 * lives, the death of a driver does not end the mounts, and what runs in them waits instead of
 * failing. It touches no mount.
 */
export class Holder {
  private readonly root: string;
  private readonly log: Log;
  private readonly onChange: () => void;
  private readonly held = new Map<number, Held>();

  /** @param onChange called after each change of what is held */
  constructor(root: string, log: Log, onChange: () => void) {
    this.root = root;
    this.log = log;
    this.onChange = onChange;
  }

  get size(): number {
    return this.held.size;
  }

  handlers(stop: () => void): Handlers<HolderVerbs> {
    return {
      status: () => this.status(),
      hold: (args, peer) => this.hold(args, args.pid, args.fd, peer),
      drop: ({ env }) => ({ dropped: this.drop(env) }),
      stop: ({ force }) => this.stop(force, stop),
    };
  }

  /** Lets go of devices whose driver died and whose mount was taken away since. */
  sweep(): void {
    const orphans = [...this.held.values()].filter((held) => held.driver.destroyed);
    if (orphans.length === 0) return;
    const mounts = envMounts(this.root);
    for (const { env } of orphans) if (!mounts.has(env)) this.drop(env);
  }

  private hold(device: HeldDevice, pid: number, fd: number, driver: Socket): null {
    const { env, mountpoint, shard } = device;
    const copy = native.takeFd(pid, fd);
    if (copy < 0) {
      const hint = 'the kernel must be 5.6 or later, and byref must run as root; see byref doctor';
      throw new ByrefError('unsupported', `pidfd_getfd failed with errno ${-copy}`, hint);
    }
    this.drop(env);
    this.held.set(env, { env, mountpoint, shard, fd: copy, driver });
    this.log.info({ env, shard, mountpoint, driver: pid }, 'holding');
    this.onChange();
    return null;
  }

  private drop(env: number): boolean {
    const held = this.held.get(env);
    if (!held) return false;
    this.held.delete(env);
    // The last descriptor of a connection ends it: closing must not happen before the driver's.
    closeSync(held.fd);
    this.log.info({ env }, 'dropped');
    this.onChange();
    return true;
  }

  private stop(force: boolean, stop: () => void): null {
    this.sweep();
    if (this.held.size > 0 && !force) {
      const message = `the holder holds the devices of ${this.held.size} mounted envs`;
      throw new ByrefError('busy', message, 'unmount them first: byref umount --all');
    }
    setImmediate(stop);
    return null;
  }

  private status(): HolderStatus {
    this.sweep();
    const devices = [...this.held.values()].map((held) => ({
      env: held.env,
      mountpoint: held.mountpoint,
      shard: held.shard,
    }));
    return { pid: process.pid, root: this.root, version: VERSION, devices };
  }
}
