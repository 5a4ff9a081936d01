import type { ControlClient } from '../../ipc/client.ts';
import type { DriverVerbs } from '../../ipc/protocol.ts';
import { findDriver } from './spawn.ts';

/** Connections to running drivers: one for each shard, however many envs are asked about at once. */
export class DriverLinks {
  readonly root: string;
  private readonly links = new Map<number, Promise<ControlClient<DriverVerbs> | null>>();

  constructor(root: string) {
    this.root = root;
  }

  /** Returns the connection to a shard's driver; null if none ran when it was first asked for. */
  find(shard: number): Promise<ControlClient<DriverVerbs> | null> {
    const known = this.links.get(shard);
    if (known !== undefined) return known;
    const link = findDriver(this.root, shard);
    this.links.set(shard, link);
    return link;
  }

  /** Closes all connections. */
  async close(): Promise<void> {
    const links = await Promise.allSettled(this.links.values());
    for (const link of links) if (link.status === 'fulfilled') link.value?.close();
  }
}
