import fc from 'fast-check';

/** One step of a random history, as data: it crosses to the agent as JSON, and can be kept. */
export type Operation =
  | { readonly op: 'create'; readonly path: string; readonly text: string }
  | { readonly op: 'write'; readonly path: string; readonly offset: number; readonly text: string }
  | { readonly op: 'append'; readonly path: string; readonly text: string }
  | { readonly op: 'truncate'; readonly path: string; readonly size: number }
  | { readonly op: 'read'; readonly path: string }
  | { readonly op: 'mkdir' | 'unlink' | 'rmdir' | 'readdir' | 'readlink'; readonly path: string }
  | { readonly op: 'symlink'; readonly path: string; readonly target: string }
  | { readonly op: 'link'; readonly path: string; readonly to: string }
  | { readonly op: 'rename'; readonly path: string; readonly to: string; readonly flags: 0 | 1 | 2 }
  | { readonly op: 'chmod'; readonly path: string; readonly mode: number }
  | { readonly op: 'chown'; readonly path: string; readonly uid: number; readonly gid: number }
  | {
      readonly op: 'utimes';
      readonly path: string;
      readonly seconds: number;
      readonly nsec: number;
    }
  | {
      readonly op: 'setxattr';
      readonly path: string;
      readonly name: string;
      readonly value: string;
    }
  | { readonly op: 'removexattr'; readonly path: string; readonly name: string }
  | { readonly op: 'open' | 'openRead'; readonly path: string; readonly slot: number }
  | { readonly op: 'pread' | 'fstat' | 'close'; readonly slot: number }
  | { readonly op: 'pwrite'; readonly slot: number; readonly offset: number; readonly text: string }
  | { readonly op: 'ftruncate'; readonly slot: number; readonly size: number }
  /** Unmounts and mounts again; or kills the driver first. Open descriptors are closed before. */
  | { readonly op: 'remount' | 'kill' };

/** What a step answered: an errno's name, or a value (null where there is nothing to say). */
export type Outcome = { readonly error: string } | { readonly value: unknown };

export const SLOTS = 2;
const names = fc.constantFrom('a', 'b', 'c', 'd', 'e', 's', 'ds', 'h1', 'h2');
/** Few enough for steps to meet: in the tree, in its directories, and seldom anything. */
const path = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'h1', 'h2', 's', 'ds') },
  { weight: 4, arbitrary: fc.constantFrom('d/a', 'd/b', 'd/d', 'd/h1', 'e/a', 'e/c', 'e/d') },
  { weight: 2, arbitrary: fc.constantFrom('d/d/a', 'd/d/b', 'e/d/b', 'ds/a', 'ds/d', 'ds/d/b') },
  {
    weight: 1,
    arbitrary: fc.array(names, { minLength: 1, maxLength: 3 }).map((all) => all.join('/')),
  },
);
const text = fc.oneof(
  fc.constantFrom('', 'x', 'short text'),
  fc.integer({ min: 1, max: 40_000 }).map((length) => 'long'.repeat(length / 4)),
);
const offset = fc.oneof(fc.constantFrom(0, 1, 4095, 4096), fc.integer({ min: 0, max: 20_000 }));
const slot = fc.integer({ min: 0, max: SLOTS - 1 });
const id = fc.constantFrom(0, 1000, 2000);
const xattr = fc.constantFrom('user.one', 'trusted.two');

const step = <T extends Operation['op'], R extends object>(
  op: T,
  fields: { [K in keyof R]: fc.Arbitrary<R[K]> },
): fc.Arbitrary<{ op: T } & R> => fc.record(fields).map((record) => ({ op, ...record }));

const REMOUNT_WEIGHT = 1;
const weighted = (weight: number, arbitrary: fc.Arbitrary<Operation>) => ({ weight, arbitrary });

/** Any one operation; the common ones more often, a remount seldom (it takes a second). */
export const operation: fc.Arbitrary<Operation> = fc.oneof(
  weighted(20, step('create', { path, text })),
  weighted(20, step('write', { path, offset, text })),
  weighted(10, step('append', { path, text })),
  weighted(10, step('truncate', { path, size: offset })),
  weighted(15, step('read', { path })),
  weighted(15, step('mkdir', { path })),
  weighted(15, step('unlink', { path })),
  weighted(20, step('rmdir', { path })),
  weighted(15, step('readdir', { path })),
  weighted(4, step('readlink', { path })),
  weighted(8, step('symlink', { path, target: path })),
  weighted(15, step('link', { path, to: path })),
  weighted(
    40,
    step('rename', { path, to: path, flags: fc.constantFrom<0 | 1 | 2>(0, 0, 0, 1, 2) }),
  ),
  weighted(6, step('chmod', { path, mode: fc.constantFrom(0o600, 0o755, 0o6755, 0o2644) })),
  weighted(6, step('chown', { path, uid: id, gid: id })),
  weighted(
    8,
    step('utimes', { path, seconds: fc.constantFrom(1, 1e9), nsec: fc.nat(999_999_999) }),
  ),
  weighted(
    10,
    step('setxattr', { path, name: xattr, value: text.map((all) => all.slice(0, 900)) }),
  ),
  weighted(6, step('removexattr', { path, name: xattr })),
  weighted(12, step('open', { path, slot })),
  weighted(8, step('openRead', { path, slot })),
  weighted(16, step('pread', { slot })),
  weighted(6, step('fstat', { slot })),
  weighted(20, step('pwrite', { slot, offset, text })),
  weighted(8, step('ftruncate', { slot, size: offset })),
  weighted(6, step('close', { slot })),
  weighted(REMOUNT_WEIGHT, fc.constant({ op: 'remount' } as const)),
  weighted(REMOUNT_WEIGHT, fc.constant({ op: 'kill' } as const)),
);
