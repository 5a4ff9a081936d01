/** Captures what an existing env changed against its templates; the env stays as it is. */
import { ByrefError } from '../../../base/error.ts';
import { mountEnv } from '../../envs/mount.ts';
import { type EnvState, envState } from '../../envs/state.ts';
import { umountEnv } from '../../envs/umount.ts';
import { describeUsers, mountUsers } from '../../envs/users.ts';
import { needPeoplesEnv } from '../../sandbox/owner.ts';
import type { StoreAccess } from '../../sandbox/store-access.ts';
import type { CaptureSource } from './capture.ts';
import { type Recording, recordChanges } from './recording.ts';
import type { Rules } from './rules.ts';

/** Returns the source for a capture of an env. @param tell is called with remarks about it, in sentences */
export function envSource(
  access: StoreAccess,
  env: string,
  rules: Rules,
  tell: (note: string) => void,
): CaptureSource {
  return {
    what: `env ${env}`,
    // The times are older than this run, and programs may have recorded them.
    hasRunTimes: false,
    async record(dir, store) {
      const state = await access.read((open) => envState(open, needPeoplesEnv(open, env)));
      if (state.state === 'mounted') {
        const users = mountUsers(state.mount!.mountpoint);
        if (users.length > 0) {
          tell(
            `${env} is in use by ${describeUsers(users)}: what is written now may be half there`,
          );
        }
        return store(await recordMounted(access, state, state.mount!.mountpoint, dir, rules));
      }
      if (state.state !== 'stopped') throw unreachable(env, state);
      return store(
        await whileMounted(access, state, (mountpoint) =>
          recordMounted(access, state, mountpoint, dir, rules),
        ),
      );
    },
  };
}

async function recordMounted(
  access: StoreAccess,
  { row }: EnvState,
  mountpoint: string,
  dir: string,
  rules: Rules,
): Promise<Recording> {
  const stack = await access.read((store) => store.resolveStack(row));
  return recordChanges(access, { row, stack, mountpoint }, dir, rules);
}

async function whileMounted<T>(
  access: StoreAccess,
  state: EnvState,
  work: (mountpoint: string) => Promise<T>,
): Promise<T> {
  const options = { transport: 'kernel', passthrough: true, trace: false, at: null } as const;
  const { mountpoint } = await access.read((store) => mountEnv(store, state, options));
  try {
    return await work(mountpoint);
  } finally {
    await access.read(async (store) => {
      await umountEnv(store, await envState(store, state.row), { lazy: false, force: false });
    });
  }
}

function unreachable(env: string, { state }: EnvState): ByrefError {
  const how =
    state === 'dead' ? 'mounted, but its driver is gone' : 'in use outside of this mount namespace';
  return new ByrefError('busy', `${env} is ${how}`, `Clean up first: byref umount ${env}`);
}
