import { ByrefError } from '../../base/error.ts';
import type { Ino, Name } from '../../base/ids.ts';
import type { WritersPage } from '../../ipc/protocol.ts';
import type { EnvRow, Store } from '../../store/store.ts';
import { findDriver } from './spawn.ts';

/** The programs that changed something in an env that is mounted with `trace`. */
export interface Writers {
  /** When tracing began (ISO 8601, UTC): earlier changes are not in here. */
  readonly since: string;
  /** The last four programs that made or changed an inode, the latest one last. Includes inodes that are gone again. */
  readonly inodes: ReadonlyMap<Ino, readonly string[]>;
  /** Programs that removed a name of the templates, by directory. The name may have come back since. */
  readonly removed: ReadonlyMap<Ino, ReadonlyMap<Name, readonly string[]>>;
}

/** A limit that no page reaches. */
const ALL = 2 ** 32;

/**
 * Asks the env's driver for all writers, page by page.
 * @throws ByrefError 'notFound' if it is not mounted, 'usage' if it is mounted without `trace`
 */
export async function writersOf(store: Store, row: EnvRow, limit = ALL): Promise<Writers> {
  const driver = await findDriver(store.root, row.shard);
  if (driver === null) {
    const message = `${row.name} is not mounted, so nobody knows who changed it`;
    throw new ByrefError('notFound', message, 'Writers are known while it is mounted with trace.');
  }
  const inodes = new Map<Ino, readonly string[]>();
  const removed = new Map<Ino, Map<Name, readonly string[]>>();
  try {
    for (let after = 0; ; ) {
      const page = await driver.call('writers', { env: row.id, after, limit });
      take(page, inodes, removed);
      if (page.next === null) return { since: page.since, inodes, removed };
      after = page.next;
    }
  } finally {
    driver.close();
  }
}

function take(
  { writers, ...page }: WritersPage,
  inodes: Map<Ino, readonly string[]>,
  removed: Map<Ino, Map<Name, readonly string[]>>,
): void {
  for (let at = 0; at < page.inodes.length; at += 2) {
    inodes.set(page.inodes[at] as Ino, writers[page.inodes[at + 1]!]!);
  }
  for (const [dir, name, list] of page.removed) {
    const names = removed.get(dir as Ino) ?? new Map<Name, readonly string[]>();
    removed.set(dir as Ino, names.set(name as Name, writers[list]!));
  }
}
