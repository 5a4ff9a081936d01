/**
 * A throw-away env: something is installed in it, and what that changed becomes a template. It is an env like any other, so that
 * programs find in it what they will find later; removed at the end, or, if we were killed, when the next one begins.
 */
import { ByrefError } from '../base/error.ts';
import { isNoSpace } from '../base/no-space.ts';
import { isAlive } from '../base/proc.ts';
import { TEMPORARY_DIR } from '../base/temporary-dir.ts';
import { destroyEnv } from '../env/destroy.ts';
import { mountEnv } from '../env/mount.ts';
import { envState } from '../env/state.ts';
import type { EnvRow, StackRef, Store } from '../store/store.ts';
import type { StoreAccess } from './store-access.ts';

export interface ScratchEnv {
  readonly row: EnvRow;
  /** What it is on; none of its own changes. */
  readonly stack: readonly StackRef[];
  /** Its root, mounted. */
  readonly mountpoint: string;
}

export interface ScratchOptions {
  /** References with their versions, the OS template first. */
  readonly stack: readonly string[];
  /** Note which program writes what. */
  readonly trace?: boolean;
}

const PREFIX = 'scratch.';
const OWNER = /^scratch[.](\d+)[.]\d+$/;
let made = 0;

/** True for the name of a throw-away env. */
export const isScratch = (env: string): boolean => OWNER.test(env);

/** @throws ByrefError 'noSpace'; whatever `work` throws */
export async function withScratchEnv<T>(
  access: StoreAccess,
  { stack, trace = false }: ScratchOptions,
  work: (env: ScratchEnv) => Promise<T>,
): Promise<T> {
  const name = `${PREFIX}${process.pid}.${++made}`;
  await access.write(async (store) => {
    await sweepScratchEnvs(store);
    store.createEnv({ name, stack });
  });
  try {
    return await work(await access.read((store) => mount(store, name, trace)));
  } catch (cause) {
    throw asSentence(cause);
  } finally {
    await access.write((store) => remove(store, name));
  }
}

/** Of a full disk; which one, what comes through an env or from a program does not say. */
function asSentence(cause: unknown): unknown {
  if (cause instanceof ByrefError || !isNoSpace(cause)) return cause;
  const hint = `Free some space below the root and in ${TEMPORARY_DIR}, then try again.`;
  return new ByrefError('noSpace', 'no space left on the device', hint, { cause });
}

async function mount(store: Store, name: string, trace: boolean): Promise<ScratchEnv> {
  const row = store.needEnv(name);
  const options = { transport: 'kernel', passthrough: true, at: null, trace } as const;
  const { mountpoint } = await mountEnv(store, await envState(store, row), options);
  return { row, stack: store.resolveStack(row), mountpoint };
}

/** Programs of ours in it have ended; what else looks into it gets errors. */
async function remove(store: Store, name: string): Promise<void> {
  const row = store.env(name);
  if (row !== null) await destroyEnv(store, row, true);
}

/** Removes those whose process is gone. The store is open for writing. */
export async function sweepScratchEnvs(store: Store): Promise<void> {
  for (const row of store.envs()) {
    const pid = Number(OWNER.exec(row.name)?.[1] ?? 0);
    if (pid > 0 && !isAlive(pid)) await destroyEnv(store, row, true);
  }
}
