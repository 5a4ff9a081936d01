import fc from 'fast-check';
import { APP_VERSIONS, OS_VERSIONS } from './tree.ts';

/** One step of a random history, as data: it crosses to the agent as JSON, and can be kept. */
export type Operation =
  | { readonly op: 'create'; readonly path: string; readonly text: string }
  | { readonly op: 'write'; readonly path: string; readonly offset: number; readonly text: string }
  | { readonly op: 'append'; readonly path: string; readonly text: string }
  /** Opens it truncated, and writes it anew. */
  | { readonly op: 'rewrite'; readonly path: string; readonly text: string }
  /** Writes it so that it is on disk then. */
  | {
      readonly op: 'syncWrite';
      readonly path: string;
      readonly offset: number;
      readonly text: string;
      readonly way: SyncWay;
    }
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
  /** Writes a file with the bytes, owner and mode that it has beside it, and renames that over it, as `sed -i` does. */
  | { readonly op: 'sed'; readonly path: string }
  /** Gives a file an ACL that lets one user read it, with this mask. */
  | { readonly op: 'setfacl'; readonly path: string; readonly mask: number }
  | SlotOperation
  /** Compares the whole tree; or makes the kernel forget what nobody has open. */
  | { readonly op: 'look' | 'dropCaches' }
  /** Unmounts and mounts again; or kills the driver first. Open descriptors are closed before. */
  | { readonly op: 'remount' | 'kill' }
  | Flip;

/** How a program has what it writes on disk. */
export type SyncWay = 'O_SYNC' | 'O_DSYNC' | 'RWF_DSYNC' | 'msync' | 'fsync';

/** What is done to an open descriptor; of a directory, also to a name in it. */
export type SlotOperation =
  | { readonly op: 'open' | 'openRead' | 'openDir'; readonly path: string; readonly slot: number }
  | { readonly op: 'pread' | 'fstat' | 'close' | 'list'; readonly slot: number }
  | { readonly op: 'pwrite'; readonly slot: number; readonly offset: number; readonly text: string }
  | { readonly op: 'ftruncate'; readonly slot: number; readonly size: number }
  /** Opens it once more, for writing, through /proc, and writes. */
  | { readonly op: 'reopen'; readonly slot: number; readonly text: string }
  | { readonly op: 'fchmod'; readonly slot: number; readonly mode: number }
  | { readonly op: 'fchown'; readonly slot: number; readonly uid: number; readonly gid: number }
  | { readonly op: 'readAt' | 'mkdirAt'; readonly slot: number; readonly name: string };

/**
 * A template goes to another version: while the env is used, while it is not mounted, or while its driver is dead. (Then
 * open descriptors are closed before, and it is mounted afterwards.)
 */
export interface Flip {
  readonly op: 'flip';
  readonly template: 'os' | 'app';
  readonly to: number;
  readonly env: 'mounted' | 'stopped' | 'dead';
}

/** What a step answered: an errno's name, or a value (null where there is nothing to say). */
export type Outcome = { readonly error: string } | { readonly value: unknown };

export const SLOTS = 3;
/** What `sed` writes before it renames it. */
export const SED = '.sed';
const name = fc.constantFrom('a', 'b', 'c', 'd', 'e', 's', 'ds', 'h1', 'h2');
/** Few enough for steps to meet: in the tree, in its directories, and seldom anything. */
const path = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'h1', 'h2', 's', 'ds') },
  { weight: 4, arbitrary: fc.constantFrom('d/a', 'd/b', 'd/d', 'd/h1', 'e/a', 'e/c', 'e/d') },
  { weight: 2, arbitrary: fc.constantFrom('d/d/a', 'd/d/b', 'e/d/b', 'ds/a', 'ds/d', 'ds/d/b') },
  {
    weight: 1,
    arbitrary: fc.array(name, { minLength: 1, maxLength: 3 }).map((all) => all.join('/')),
  },
);
/** In an open directory, also two levels down. */
const below = fc.oneof(name, fc.constantFrom('d/a', 'd/b', 'd/c', 'e/c'));
const text = fc.oneof(
  fc.constantFrom('', 'x', 'short text'),
  fc.integer({ min: 1, max: 40_000 }).map((length) => 'long'.repeat(length / 4)),
);
const offset = fc.oneof(fc.constantFrom(0, 1, 4095, 4096), fc.integer({ min: 0, max: 20_000 }));
const slot = fc.integer({ min: 0, max: SLOTS - 1 });
const id = fc.constantFrom(0, 1000, 2000);
const mode = fc.constantFrom(0o600, 0o755, 0o6755, 0o2644);
const syncWay = fc.constantFrom<SyncWay>('O_SYNC', 'O_DSYNC', 'RWF_DSYNC', 'msync', 'fsync');
const xattr = fc.constantFrom('user.one', 'trusted.two');

const step = <T extends Operation['op'], R extends object>(
  op: T,
  fields: { [K in keyof R]: fc.Arbitrary<R[K]> },
): fc.Arbitrary<{ op: T } & R> => fc.record(fields).map((record) => ({ op, ...record }));

const flip: fc.Arbitrary<Operation> = fc
  .tuple(
    fc.constantFrom<'os' | 'app'>('os', 'os', 'app'),
    fc.nat(99),
    // Mounting takes a second.
    fc.constantFrom<Flip['env']>(...Array<'mounted'>(12).fill('mounted'), 'stopped', 'dead'),
  )
  .map(([template, pick, env]) => {
    const { length } = template === 'os' ? OS_VERSIONS : APP_VERSIONS;
    return { op: 'flip', template, to: (pick % length) + 1, env };
  });

const REMOUNT_WEIGHT = 1;
/** Flips are about one in this many steps. */
const FLIP_WEIGHT = 30;
const weighted = (weight: number, arbitrary: fc.Arbitrary<Operation>) => ({ weight, arbitrary });

const plain = [
  weighted(20, step('create', { path, text })),
  weighted(20, step('write', { path, offset, text })),
  weighted(10, step('append', { path, text })),
  weighted(8, step('rewrite', { path, text })),
  weighted(8, step('syncWrite', { path, offset, text, way: syncWay })),
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
  weighted(6, step('chmod', { path, mode })),
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
  weighted(8, step('sed', { path })),
  weighted(6, step('setfacl', { path, mask: fc.constantFrom(4, 5, 7) })),
  weighted(12, step('open', { path, slot })),
  weighted(12, step('openRead', { path, slot })),
  weighted(8, step('openDir', { path, slot })),
  weighted(16, step('pread', { slot })),
  weighted(10, step('fstat', { slot })),
  weighted(8, step('list', { slot })),
  weighted(8, step('readAt', { slot, name: below })),
  weighted(6, step('mkdirAt', { slot, name: below })),
  weighted(20, step('pwrite', { slot, offset, text })),
  weighted(8, step('ftruncate', { slot, size: offset })),
  weighted(6, step('reopen', { slot, text })),
  weighted(4, step('fchmod', { slot, mode })),
  weighted(4, step('fchown', { slot, uid: id, gid: id })),
  weighted(6, step('close', { slot })),
  weighted(6, fc.constant({ op: 'look' } as const)),
  weighted(2, fc.constant({ op: 'dropCaches' } as const)),
  weighted(REMOUNT_WEIGHT, fc.constant({ op: 'remount' } as const)),
  weighted(REMOUNT_WEIGHT, fc.constant({ op: 'kill' } as const)),
];

/** Any one operation; the common ones more often, a remount seldom (it takes a second). */
export const operation: fc.Arbitrary<Operation> = fc.oneof(...plain);

/** The same, and templates that go to other versions meanwhile. */
export const operationOrFlip: fc.Arbitrary<Operation> = fc.oneof(
  ...plain,
  weighted(FLIP_WEIGHT, flip),
);
