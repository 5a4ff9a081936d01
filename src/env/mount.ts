import { mkdirSync } from 'node:fs';
import { ByrefError } from '../base/error.ts';
import { PeerGone } from '../control/client.ts';
import { envMounts } from '../control/mount-table.ts';
import type { MountedEnv, MountRequest, Transport } from '../control/protocol.ts';
import { type EnvRow, mountDir, type Store } from '../store/store.ts';
import { ensureDriver, ensureHolder } from './spawn.ts';
import type { EnvState } from './state.ts';

export interface MountOptions {
  readonly transport: Transport;
  /** False: the driver does all reads and writes. */
  readonly passthrough: boolean;
  /** Its driver notes which program changes what: see writersOf(). Slower by a look at the program per change. */
  readonly trace: boolean;
  /** MS_* flags of mount(2); none if not given. */
  readonly mountFlags?: number;
  /** Where to mount, absolute; null: <root>/mnt/<name>. */
  readonly at: string | null;
}

export interface MountOutcome extends MountedEnv {
  /** It was mounted already, and nothing was done. */
  readonly already: boolean;
}

/** A driver or holder that ends for idleness just when it is asked is started again. */
const ATTEMPTS = 3;

/** Mounts an env, starting its driver and the holder where they don't run. Mounting twice is no error. */
export async function mountEnv(
  store: Store,
  { row, state, served, mount }: EnvState,
  options: MountOptions,
): Promise<MountOutcome> {
  const mountpoint = options.at ?? mountDir(store.root, row.name);
  if (state === 'mounted' && served?.mountpoint === mountpoint && (served.trace || !options.trace))
    return { ...served, already: true };
  if (state !== 'stopped')
    throw inTheWay(row, state, mount?.mountpoint ?? served?.mountpoint ?? '');
  mkdirSync(mountpoint, { recursive: true });
  const { transport, passthrough, trace, mountFlags = 0 } = options;
  const request = { env: row.id, mountpoint, transport, passthrough, trace, mountFlags };
  const mounted = await ask(store.root, row.shard, request);
  if (!envMounts(store.root).has(row.id)) throw otherNamespace(row);
  return { ...mounted, already: false };
}

async function ask(root: string, shard: number, request: MountRequest): Promise<MountedEnv> {
  for (let attempt = 1; ; attempt++) {
    const holder = await ensureHolder(root);
    const driver = await ensureDriver(root, shard);
    try {
      return await driver.call('mount', request);
    } catch (error) {
      if (!(error instanceof PeerGone) || attempt === ATTEMPTS) throw error;
    } finally {
      driver.close();
      holder.close();
    }
  }
}

function inTheWay(row: EnvRow, state: string, mountpoint: string): ByrefError {
  if (state === 'dead') {
    const message = `${row.name} is mounted on ${mountpoint}, but its driver is gone`;
    return new ByrefError('busy', message, `clean up first: byref umount ${row.name}`);
  }
  const message =
    state === 'detached'
      ? `${row.name} is still in use since its last unmount, or in another mount namespace`
      : `${row.name} is mounted already, on ${mountpoint}`;
  return new ByrefError('busy', message, `unmount it first: byref umount ${row.name}`);
}

function otherNamespace(row: EnvRow): ByrefError {
  const message = `${row.name} was mounted, but not in this mount namespace`;
  const hint = 'its driver was started in another one: run byref there, or unmount all envs first';
  return new ByrefError('busy', message, hint);
}
