import { ByrefError } from '../../../base/error.ts';
import { native } from '../../../native/binding.ts';
import type { Log } from '../../../observe/log.ts';
import type { StackRef, Store } from '../../../store/store.ts';
import type { LowerTree } from '../../core/ports.ts';
import { type EnvParts, openEnv } from '../env-parts.ts';
import type { TakenDevice } from '../holder-link.ts';
import type { LeftEnv } from '../serve-kernel.ts';
import { KeptMount } from './kept-mount.ts';

/** A mount of a driver that was killed, ready to be gone on with. */
interface TakenEnv {
  readonly parts: EnvParts;
  readonly left: LeftEnv;
  /** The stacks of the lower trees that the env has shown before. */
  readonly earlier: ReadonlyMap<LowerTree, readonly StackRef[]>;
}

/**
 * Takes the connection of a driver that was killed from the holder, and opens the env as that driver had it.
 * @throws ByrefError, as openEnv(); 'unsupported' if it left nothing that this version can go on with
 */
export async function takeLeft(store: Store, device: TakenDevice, log: Log): Promise<TakenEnv> {
  const found = KeptMount.find(store.root, device.env);
  if (found === null || !found.note.granted.resend) throw cannotGoOn(device.env);
  const { kept, note } = found;
  const [stack, ...before] = note.stacks;
  const parts = await openEnv(store, note.request, log, stack ?? null);
  try {
    const earlier = new Map(before.map((each) => [store.lowerTree(each), each]));
    const fd = native.takeFd(device.pid, device.fd);
    if (fd < 0) throw new Error(`its connection can't be taken from the holder: errno ${-fd}`);
    const mount = { ...kept.left(), earlier: [...earlier.keys()] };
    return { parts, left: { device: fd, note, kept, mount }, earlier };
  } catch (error) {
    await parts.delta.close();
    throw error;
  }
}

function cannotGoOn(env: number): ByrefError {
  const message = `the driver of env ${env} was killed, and left nothing to go on with`;
  return new ByrefError('unsupported', message, 'Mount it again.');
}
