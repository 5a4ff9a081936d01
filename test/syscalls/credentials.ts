import { call } from './raw.ts';

const KEEP = -1;

function setGroups(groups: readonly number[]): void {
  const bytes = Buffer.alloc(groups.length * 4);
  groups.forEach((group, i) => {
    bytes.writeUInt32LE(group, i * 4);
  });
  call('setgroups', groups.length, bytes);
}

/** Who does a file operation. */
export interface User {
  readonly uid: number;
  readonly gid: number;
  readonly groups?: readonly number[];
}

/**
 * Runs `action` with the effective (and so file system) ids of `user`, without root's capabilities.
 * Raw calls change this thread only, which is the one that does Node's synchronous file calls.
 */
export function asUser<T>(user: User, action: () => T): T {
  setGroups(user.groups ?? []);
  call('setresgid', KEEP, user.gid, KEEP);
  call('setresuid', KEEP, user.uid, KEEP);
  try {
    return action();
  } finally {
    call('setresuid', KEEP, 0, KEEP);
    call('setresgid', KEEP, 0, KEEP);
    setGroups([0]);
  }
}
