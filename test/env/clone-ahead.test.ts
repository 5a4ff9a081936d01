/** Private files that are copied before the moment of a clone: what is changed in between is copied again, and nothing else. */
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { PrivateCopies } from '../../src/manager/envs/copy-private.ts';
import { SmallDisk } from '../support/machine/small-disk.ts';
import { MAP_SHARED, Mapping } from '../syscalls/index.ts';

const MIB = 2 ** 20;
const PAGE = 4096;
/** More than a tick of the clock that files are stamped with. */
const TICK_MS = 30;
const OLD = 'x'.repeat(PAGE);
/** A size, and a time of long ago: what a change may leave as it was. */
const THEN = new Date('2001-01-01T00:00:00Z');

test.each([
  ['ext4', 64],
  ['xfs', 300],
  ['btrfs', 128],
  ['tmpfs', 16],
] as const)('on %s', { timeout: 120_000 }, async (type, size) => {
  const disk = new SmallDisk(size * MIB, type);
  const [from, to] = ['from', 'to'].map((name) => path.join(disk.place, name)) as [string, string];
  const copies = new PrivateCopies(from, to, new AbortController().signal);
  const at = (directory: string, name: string): string => path.join(directory, name);
  const inode = (name: string): number => statSync(at(to, name)).ino;
  let mapping: Mapping | null = null;
  try {
    mkdirSync(from);
    for (const name of ['same', 'written', 'mapped', 'gone', 'anew']) {
      writeFileSync(at(from, name), OLD);
      utimesSync(at(from, name), THEN, THEN);
    }
    const fd = openSync(at(from, 'mapped'), 'r+');
    mapping = Mapping.ofFile(fd, PAGE, MAP_SHARED);
    closeSync(fd);
    // From here on the page is dirty, and a store to it tells nobody.
    mapping.write(0, 'a');
    await sleep(TICK_MS);
    writeFileSync(at(from, 'hot'), 'hot');
    await copies.ahead();
    const ahead = readdirSync(to);
    if (type !== 'tmpfs') expect(ahead).toContain('same');
    const before = ahead.includes('same') ? inode('same') : null;

    mapping.write(1, 'b');
    const written = openSync(at(from, 'written'), 'r+');
    writeFileSync(written, 'w'.repeat(PAGE));
    closeSync(written);
    utimesSync(at(from, 'written'), THEN, THEN);
    rmSync(at(from, 'gone'));
    rmSync(at(from, 'anew'));
    writeFileSync(at(from, 'anew'), 'new');
    writeFileSync(at(from, 'later'), 'later');
    await copies.rest();

    const names = readdirSync(from).sort();
    expect(readdirSync(to).sort()).toEqual(names);
    for (const name of names) {
      expect(readFileSync(at(to, name)).equals(readFileSync(at(from, name))), name).toBe(true);
      expect(statSync(at(to, name)).mtimeMs, name).toBe(statSync(at(from, name)).mtimeMs);
    }
    expect(readFileSync(at(to, 'mapped'), 'latin1').slice(0, 3)).toBe('abx');
    if (before !== null) expect(inode('same')).toBe(before);
  } finally {
    mapping?.unmap();
    copies.close();
    disk.dispose();
  }
});

test('an env without private files has none to copy', async () => {
  const nowhere = '/nonexistent/private';
  const copies = new PrivateCopies(nowhere, nowhere, new AbortController().signal);
  await copies.ahead();
  await copies.rest();
  copies.close();
});
