/**
 * Writes to a store on a full disk again and again, then once there is room: failed-writes.test.ts starts it.
 *
 *   failed-writes-probe ROOT FILLER TIMES
 *
 * With SPOILED instead of ROOT, it does what a process does in which LMDB's texts were not mended.
 */
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ByrefError } from '../../src/base/error.ts';
import type { Ino } from '../../src/base/ids.ts';
import { endIfSpoiled } from '../../src/native/failed-writes.ts';
import { inoKey } from '../../src/store/keys.ts';
import { metaDir } from '../../src/store/root.ts';
import { openTables } from '../../src/store/tables.ts';

const FIRST = 1_000_000;
const [root = '', filler = '', times = '0'] = process.argv.slice(2);

async function fail(): Promise<void> {
  const tables = openTables(metaDir(root), { write: true });
  const table = tables.table('inodes');
  const outcomes: Record<string, number> = {};
  const note = (outcome: string): void => {
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  };
  const rows = (i: number): Ino[] =>
    Array.from({ length: 1 + (i % 50) }, (_, n) => (FIRST + 100 * i + n) as Ino);
  const put = (i: number): void => {
    for (const ino of rows(i)) table.putSync(inoKey(ino), Buffer.alloc(2000 + 97 * (i % 40), 1));
  };
  const before = table.count;
  let made = 0;
  for (let i = 0; i < Number(times); i++) {
    try {
      tables.transaction(() => put(i));
      made += rows(i).length;
      note('made');
    } catch (error) {
      note(error instanceof ByrefError ? error.code : String(error));
      // What was not made is not seen, and its memory is used for other things.
      tables.refresh();
      if (table.count !== before + made) note('seen');
      if (i % 20 === 0) await sleep(1);
    }
  }
  rmSync(filler);
  tables.transaction(() => put(Number(times)));
  tables.refresh();
  const all = table.count - before - made === rows(Number(times)).length;
  await tables.close();
  process.stdout.write(JSON.stringify({ outcomes, all }));
}

if (root === 'SPOILED')
  endIfSpoiled(Object.assign(new Error('No space left on device'), { code: 28 }));
else await fail();
