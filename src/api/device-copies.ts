/**
 * Keeps a third copy of every /dev/fuse descriptor of a root, beside those of the driver and the holder. If both are killed, the
 * mounts live on, and what runs in them waits: a new holder is started and given the copies, and starts drivers that go on.
 */
import { statSync } from 'node:fs';
import type { ControlClient } from '../ipc/client.ts';
import { driverWords } from '../ipc/driver-words.ts';
import { envMounts } from '../ipc/mount-table.ts';
import type { HeldDevice, HolderVerbs } from '../ipc/protocol.ts';
import { RunDir } from '../ipc/run-dir.ts';
import { ensureHolder, findHolder } from '../manager/envs/spawn.ts';
import { native } from '../native/binding.ts';
import { isHeld } from '../native/lock-file.ts';
import type { Log } from '../observe/log.ts';

/** How often it is looked what the holder holds, in ms. That it is gone is noticed at once. */
const LOOK_MS = 2_000;

interface Copy extends HeldDevice {
  readonly fd: number;
  /** Which descriptor of which holder it was taken from, and for which mount. */
  readonly from: string;
  readonly holderPid: number;
}

/** The copies that this process holds. */
export class DeviceCopies {
  private readonly root: string;
  private readonly run: RunDir;
  private readonly log: Log;
  private readonly copies = new Map<number, Copy>();
  private readonly timer: NodeJS.Timeout;
  /** Open while there are copies, so that the end of the holder is noticed. A holder with connections does not end by itself. */
  private holder: ControlClient<HolderVerbs> | null = null;
  private looking: Promise<void> | null = null;
  private again = false;
  private closed = false;

  constructor(root: string, log: Log) {
    this.root = root;
    this.run = new RunDir(root);
    this.log = log;
    this.timer = setInterval(() => this.look(), LOOK_MS);
    this.look();
  }

  /** Looks what the holder holds now. */
  look(): void {
    this.again = true;
    this.looking ??= this.lookWhile().finally(() => {
      this.looking = null;
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    clearInterval(this.timer);
    await this.looking;
    this.holder?.close();
    for (const env of [...this.copies.keys()]) this.letGo(env);
  }

  private async lookWhile(): Promise<void> {
    while (this.again && !this.closed) {
      this.again = false;
      try {
        await this.lookOnce();
      } catch (error) {
        // What fails now is tried again at the next look.
        this.log.debug({ err: error }, 'what the holder holds is not known');
      }
    }
  }

  private async lookOnce(): Promise<void> {
    let holder = await this.connected();
    if (holder === null) {
      this.letGoOfUnmounted();
      if (this.copies.size === 0) return;
      this.log.warn({ mounts: this.copies.size }, 'the holder is gone: another one is started');
      (await ensureHolder(this.root)).close();
      holder = await this.connected();
      if (holder === null) return;
    }
    const { pid, devices } = await holder.call('status', null);
    const held = new Map(devices.map((device) => [device.env, device]));
    for (const [env, { holderPid }] of this.copies) {
      // It was told to let go of it, as we are by that.
      if (!held.has(env) && holderPid === pid) this.letGo(env);
    }
    for (const device of devices) this.take(device, pid, device.fd);
    const lost = [...this.copies.values()].filter(({ env }) => !held.has(env));
    if (lost.length > 0) await this.handOver(lost);
    if (this.copies.size > 0 || this.holder === null) return;
    this.holder.close();
    this.holder = null;
  }

  private async connected(): Promise<ControlClient<HolderVerbs> | null> {
    if (this.holder !== null && !this.holder.gone) return this.holder;
    const holder = await findHolder(this.root);
    holder?.onGone(() => {
      if (this.holder === holder) this.look();
    });
    this.holder = holder;
    return holder;
  }

  private take(device: HeldDevice, holderPid: number, theirs: number): void {
    const { env, mountpoint, shard } = device;
    const from = `${holderPid} ${theirs} ${this.mountOf(env)}`;
    if (this.copies.get(env)?.from === from) return;
    const fd = native.takeFd(holderPid, theirs);
    if (fd < 0) return;
    this.letGo(env);
    this.copies.set(env, { env, mountpoint, shard, fd, from, holderPid });
  }

  /** Tells mounts of one env apart: its driver's note of each is a file of its own. */
  private mountOf(env: number): string {
    const note = statSync(this.run.noteOf(env), { throwIfNoEntry: false });
    return note === undefined ? '' : `${note.ino} ${note.mtimeMs}`;
  }

  private letGo(env: number): void {
    const copy = this.copies.get(env);
    if (copy === undefined) return;
    native.close(copy.fd);
    this.copies.delete(env);
  }

  private letGoOfUnmounted(): void {
    const mounts = envMounts(this.root);
    for (const env of [...this.copies.keys()]) if (!mounts.has(env)) this.letGo(env);
  }

  /** Gives the holder what it lacks. A driver that lives does that itself; the holder starts those that don't. */
  private async handOver(lost: readonly Copy[]): Promise<void> {
    this.letGoOfUnmounted();
    const left = lost.filter(
      ({ env, shard }) => this.copies.has(env) && !isHeld(this.run.driver(shard).lock, 'at-all'),
    );
    if (left.length === 0) return;
    // The connection stands for the driver: when it ends, the holder starts one.
    const holder = await findHolder(this.root);
    try {
      for (const { env, mountpoint, shard, fd } of left) {
        const restart = driverWords(this.root, shard);
        await holder?.call('hold', { env, mountpoint, shard, fd, pid: process.pid, restart });
      }
      const envs = left.map(({ env }) => env);
      this.log.warn({ envs }, 'driver and holder were killed: another driver goes on');
    } finally {
      holder?.close();
    }
  }
}
