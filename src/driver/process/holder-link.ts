import { ByrefError } from '../../base/error.ts';
import { ControlClient } from '../../ipc/client.ts';
import type { HeldDevice, HolderVerbs } from '../../ipc/protocol.ts';
import type { Log } from '../../observe/log.ts';

/** A device of this driver, in the form in which the holder is told of it. */
export interface OwnDevice extends HeldDevice {
  readonly fd: number;
}

/** A device that the holder has, as a descriptor of that process. */
export interface TakenDevice extends HeldDevice {
  readonly pid: number;
  readonly fd: number;
}

/** How long a driver may say nothing before the holder ends it, and how often it says within that time that it lives. */
const HANG_MS = Number(process.env['BYREF_HANG_MS'] ?? 60_000);
const BEATS = 6;
/** How often to look for a new holder after the last one is gone, in ms. */
const RETRY_MS = 2_000;

/**
 * This driver's connection to the holder. If the holder ended and a new one was started, the new one is given all
 * of this driver's devices again.
 */
export class HolderLink {
  private readonly path: string;
  private readonly log: Log;
  private restart: readonly string[];
  private readonly devices = new Map<number, OwnDevice>();
  private client: ControlClient<HolderVerbs> | null = null;
  private connecting: Promise<ControlClient<HolderVerbs>> | null = null;
  /** The number of unanswered calls: the connection must not end before they are answered. */
  private asking = 0;

  /** @param restart words that start another driver, if this one is killed; none if that is not wanted */
  constructor(path: string, log: Log, restart: readonly string[]) {
    this.path = path;
    this.log = log;
    this.restart = restart;
    // One that is not to be replaced may hang.
    if (restart.length > 0) setInterval(() => this.beat(), HANG_MS / BEATS).unref();
  }

  /** Tells the holder that this process lives: a timer runs only where nothing hangs. */
  private beat(): void {
    if (this.devices.size === 0) return;
    // An earlier build's holder does not know what that is.
    this.client?.call('beat', { pid: process.pid }).catch(() => undefined);
  }

  /** Connects to the holder, if it is not connected; rejects if none runs. */
  async reach(): Promise<void> {
    this.asking++;
    try {
      await this.connected();
    } finally {
      this.asking--;
    }
  }

  /** Returns the devices of a shard that the holder holds; none if no holder runs. */
  async held(shard: number): Promise<readonly TakenDevice[]> {
    const client = await ControlClient.connect<HolderVerbs>(this.path, 'holder');
    if (client === null) return [];
    try {
      const { pid, devices } = await client.call('status', null);
      return devices.filter((each) => each.shard === shard).map((each) => ({ ...each, pid }));
    } finally {
      client.close();
    }
  }

  /** Resolves when the holder has a copy of the descriptor; rejects if that fails. */
  async hold(device: OwnDevice): Promise<void> {
    this.asking++;
    try {
      const client = await this.connected();
      await client.call('hold', { ...device, pid: process.pid, restart: this.restart });
      this.devices.set(device.env, device);
      if (this.restart.length > 0) this.beat();
    } finally {
      this.asking--;
    }
  }

  /** Has the holder start other words, if this process ends. */
  async restartWith(words: readonly string[]): Promise<void> {
    this.restart = words;
    for (const device of [...this.devices.values()]) await this.hold(device);
  }

  /** Makes the holder close its copy. Never rejects: a holder that is gone holds nothing. */
  async drop(env: number): Promise<void> {
    this.devices.delete(env);
    this.asking++;
    try {
      await this.client?.call('drop', { env });
    } catch (error) {
      this.log.warn({ env, err: error }, 'holder did not confirm a drop');
    } finally {
      this.asking--;
    }
    // A holder without connections may end.
    if (this.devices.size === 0 && this.asking === 0) this.client?.close();
  }

  private connected(): Promise<ControlClient<HolderVerbs>> {
    if (this.client && !this.client.gone) return Promise.resolve(this.client);
    this.connecting ??= this.connect().finally(() => {
      this.connecting = null;
    });
    return this.connecting;
  }

  private async connect(): Promise<ControlClient<HolderVerbs>> {
    const client = await ControlClient.connect<HolderVerbs>(this.path, 'holder');
    if (!client) {
      const hint = 'Repeat the mount: it starts the holder; its log is in the run directory.';
      throw new ByrefError('error', 'the holder of mounted devices is not running', hint);
    }
    client.unref();
    for (const device of this.devices.values()) {
      await client.call('hold', { ...device, pid: process.pid, restart: this.restart });
    }
    this.client = client;
    client.onGone(() => this.lost(client));
    return client;
  }

  /**
   * Looks for a new holder after the old one ended. The mounts live on, but would end with this process; any
   * command that starts a holder repairs that.
   */
  private lost(client: ControlClient<HolderVerbs>): void {
    if (this.client !== client || this.devices.size === 0) return;
    this.log.warn({ devices: this.devices.size }, 'the holder is gone');
    const retry = setInterval(() => {
      if (this.devices.size === 0) clearInterval(retry);
      else
        void this.connected().then(
          () => clearInterval(retry),
          () => {},
        );
    }, RETRY_MS);
  }
}
