import type { ObjectId } from '../../base/ids.ts';
import type { OldReaders } from '../../ipc/protocol.ts';
import { findDriver } from './spawn.ts';

/** How many objects one line of the protocol names: far below its longest line. */
const AT_ONCE = 10_000;

/**
 * Tells all drivers that damaged objects have new files, so that envs see these. Returns the envs in which programs go on reading
 * old files that they have open. A driver of an older byref does not know the question: its envs see the new files when they
 * are mounted next.
 */
export async function tellReplaced(
  root: string,
  shards: Iterable<number>,
  objects: ReadonlySet<ObjectId>,
): Promise<OldReaders[]> {
  if (objects.size === 0) return [];
  const told = await Promise.all([...new Set(shards)].map((shard) => tell(root, shard, objects)));
  return told.flat();
}

async function tell(
  root: string,
  shard: number,
  objects: ReadonlySet<ObjectId>,
): Promise<readonly OldReaders[]> {
  const driver = await findDriver(root, shard);
  if (driver === null) return [];
  const all = [...objects];
  let readers: readonly OldReaders[] = [];
  try {
    for (let at = 0; at < all.length; at += AT_ONCE) {
      const some = await driver.call('replaced', { objects: all.slice(at, at + AT_ONCE) });
      readers = [...readers, ...some];
    }
  } catch {
    // Nothing is lost: an env that is mounted next, or a file that is opened anew, shows the new bytes.
  } finally {
    driver.close();
  }
  return readers;
}
