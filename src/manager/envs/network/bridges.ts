/**
 * Spreads the envs of a network over bridges: a bridge of Linux has 1,023 ports at most (BR_PORT_BITS). The first one has the gateway's
 * address; each further one is made when those before it are full, is joined to the first one (uplink.ts), and goes with its last env.
 * All of them are one network to envs.
 *
 *     bridges/BRIDGE.NAMESPACE/N/    in the run directory of the machine: N is 0 for the first bridge
 *         CONTAINER    a symlink for each port that an env has or is about to get; its target is the env's bundle
 *
 * A port is taken and given back under one lock, and before and after its device. So a kill leaves a port taken too much, never one too
 * little: it is given back when the env is cleared away, or when its bundle is gone and the port is wanted.
 */
import { existsSync, mkdirSync, rmdirSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../../base/error.ts';
import { failpoint } from '../../../base/failpoints.ts';
import { procLink, procNames } from '../../../base/proc.ts';
import { withLock } from '../../../store/with-lock.ts';
import { type BridgePlace, directoryName, ownNamespace } from './bridge-place.ts';
import { makeRules, missingRules, removeRules } from './packet-filter.ts';
import { joinBridge, removeBridge } from './uplink.ts';

/** How many ports a bridge has: the kernel's BR_MAX_PORTS without 0. */
const PORTS = Number(process.env['BYREF_BRIDGE_PORTS'] ?? 1023);
/** One port in so many of the first bridge is kept for a further one: enough to use up the addresses of a /16. */
const PORTS_PER_UPLINK = 16;

/** How many further bridges there may be. */
const uplinks = (ports: number): number => Math.ceil(ports / PORTS_PER_UPLINK);

/** Returns how many envs there may be on each bridge, the first one at the beginning. @param ports how many a bridge has */
export const roomOf = (ports: number): number[] => [
  ports - uplinks(ports),
  // One port leads to the first bridge.
  ...Array.from({ length: uplinks(ports) }, () => ports - 1),
];

/** The ports of a network's bridges. */
export class BridgePorts {
  private readonly place: BridgePlace;
  private readonly lock: string;
  private readonly directory: string;

  /** @param machine the run directory of the machine */
  constructor(machine: string, place: BridgePlace) {
    this.place = place;
    this.lock = path.join(machine, 'bridges.lock');
    this.directory = path.join(machine, 'bridges', directoryName(place));
  }

  /**
   * Takes a port of the first bridge that has one left. Makes that bridge if it is a further one, and the network's rules of the packet
   * filter, if they are not there.
   * @param container names the port
   * @returns the bridge
   * @throws ByrefError 'noSpace' if none has, 'unsupported' if something can't be made
   */
  async take(container: string, bundle: string): Promise<string> {
    const { bridge: first } = this.place;
    const index = await this.locked(() => this.takePort(container, bundle));
    const isFurther = index > 0;
    // Asked without the lock, for which others wait; from now on nobody removes them.
    if ((await missingRules(first, isFurther)).length > 0)
      await this.locked(() => makeRules(first, isFurther, `${this.directory}.rules`));
    return isFurther ? this.locked(() => joinBridge(first, index)) : first;
  }

  private takePort(container: string, bundle: string): number {
    const index = this.firstWithRoom();
    mkdirSync(this.at(index), { recursive: true });
    const port = path.join(this.at(index), container);
    rmSync(port, { force: true });
    symlinkSync(bundle, port);
    failpoint('port-taken');
    return index;
  }

  /** Gives the port of an env back if it has one. With its last port a further bridge goes, and with the network's last one its rules. */
  async giveBack(container: string): Promise<void> {
    const index = this.indexes().find((each) => procNames(this.at(each)).includes(container));
    if (index === undefined) return;
    await this.locked(async () => {
      // Before the port, so that a kill in between leaves what says that they are to go.
      if (this.place.namespace === ownNamespace()) await this.removeUnused(index, container);
      rmSync(path.join(this.at(index), container), { force: true });
      removeEmpty(this.at(index));
      removeEmpty(this.directory);
    });
  }

  private async removeUnused(index: number, last: string): Promise<void> {
    const { bridge: first } = this.place;
    const isUsed = (at: number): boolean =>
      procNames(this.at(at)).some((name) => name !== last && this.isTaken(at, name));
    if (index > 0 && !isUsed(index)) {
      await removeBridge(first, index);
      failpoint('bridge-removed');
      this.tidy(index);
    }
    if (this.indexes().some(isUsed)) return;
    await removeRules(first);
    failpoint('rules-removed');
    this.tidy(0);
  }

  private firstWithRoom(): number {
    const room = roomOf(PORTS);
    const index = room.findIndex((most, at) => this.hasRoom(at, most));
    if (index >= 0) return index;
    const total = room.reduce((sum, each) => sum + each);
    const message = `${total} envs run on ${this.place.bridge} and the bridges that belong to it, which have no port left for another one`;
    const hint = 'Stop some of them, or do without a bridge: byref set ENV network=none.';
    throw new ByrefError('noSpace', message, hint);
  }

  private hasRoom(index: number, most: number): boolean {
    if (procNames(this.at(index)).length < most) return true;
    // Only now: of a thousand it takes a while.
    this.tidy(index);
    return procNames(this.at(index)).length < most;
  }

  /** Gives back the ports of envs whose bundles are gone. */
  private tidy(index: number): void {
    for (const name of procNames(this.at(index)))
      if (!this.isTaken(index, name)) rmSync(path.join(this.at(index), name), { force: true });
  }

  private isTaken(index: number, name: string): boolean {
    return existsSync(procLink(path.join(this.at(index), name)));
  }

  private locked<T>(work: () => T | Promise<T>): Promise<T> {
    return withLock(this.lock, 'file', work);
  }

  /** Returns the numbers of the bridges that there are. */
  private indexes(): number[] {
    return procNames(this.directory).map(Number);
  }

  private at(index: number): string {
    return path.join(this.directory, String(index));
  }
}

function removeEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Others are in it.
  }
}
