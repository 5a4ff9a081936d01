import { ByrefError } from '../../../base/error.ts';
import { native } from '../../../native/binding.ts';
import type { Log } from '../../../observe/log.ts';
import type { StackRef, Store } from '../../../store/store.ts';
import type { LowerTree } from '../../core/ports.ts';
import { askAgain } from '../../fuse/notify.ts';
import { type EnvParts, openEnv } from '../env-parts.ts';
import type { TakenDevice } from '../holder-link.ts';
import { resumeKernel } from '../serve-kernel.ts';
import type { ServedEnv } from '../served-env.ts';
import { KeptMount } from './kept-mount.ts';

/** A mount of a driver that was killed, served again. */
interface TakenEnv {
  readonly parts: EnvParts;
  readonly served: ServedEnv;
  /** The stacks of the lower trees that the env has shown before. */
  readonly earlier: ReadonlyMap<LowerTree, readonly StackRef[]>;
}

/**
 * Opens the env of a connection that another driver served, as that driver had it, and goes on serving it. If that fails, this process
 * has no descriptor of the connection any more.
 * @throws ByrefError, as openEnv(); 'unsupported' if it left nothing that this version can go on with
 */
export async function takeLeft(store: Store, left: LeftDevice, log: Log): Promise<TakenEnv> {
  try {
    return await take(store, left, log);
  } catch (error) {
    native.close(left.device);
    throw error;
  }
}

async function take(
  store: Store,
  { env, mountpoint, device }: LeftDevice,
  log: Log,
): Promise<TakenEnv> {
  const found = KeptMount.find(store.root, env);
  if (found === null || !found.note.granted.resend) throw cannotGoOn(env);
  const { kept, note } = found;
  const [stack, ...before] = note.stacks;
  const parts = await openEnv(store, note.request, log, stack ?? null);
  try {
    const earlier = new Map(before.map((each) => [store.lowerTree(each), each]));
    const mount = { ...kept.left(), earlier: [...earlier.keys()] };
    const served = resumeKernel(parts, log, { device, note, kept, mount });
    served.info = { ...served.info, mountpoint };
    return { parts, served, earlier };
  } catch (error) {
    await parts.delta.close();
    throw error;
  }
}

/** A connection of a driver that was killed, taken from the holder. */
export interface LeftDevice {
  readonly env: number;
  readonly mountpoint: string;
  /** This process's descriptor; -1 if it could not be taken. */
  readonly device: number;
}

/** Takes connections from the holder, and asks the kernel for what was left unanswered on them. */
export function takeDevices(held: readonly TakenDevice[]): LeftDevice[] {
  return held.map(({ env, mountpoint, pid, fd }) => {
    const device = native.takeFd(pid, fd);
    if (device >= 0) askAgain(device);
    return { env, mountpoint, device };
  });
}

/** Takes the next one off a list: one that a program waits for, if there is any. */
export function nextOf(left: LeftDevice[]): LeftDevice | undefined {
  const waiting = native.firstWaiting(Int32Array.from(left, ({ device }) => device));
  return left.splice(Math.max(waiting, 0), 1)[0];
}

function cannotGoOn(env: number): ByrefError {
  const message = `the driver of env ${env} was killed, and left nothing to go on with`;
  return new ByrefError('unsupported', message, 'Mount it again.');
}
