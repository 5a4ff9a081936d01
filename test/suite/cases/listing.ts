import assert from 'node:assert/strict';
import fs from 'node:fs';
import { readAllEntries, readEntries, seek } from '../../syscalls/index.ts';
import type { CaseGroup } from '../case.ts';
import { namesIn, withFile } from '../expect.ts';

/** Many buffers of getdents64(2), and of a READDIR; larger ones are test/delta/large-directory.test.ts's. */
const LARGE = 2_000;
const SMALL_BUFFER = 1024;

function makeFiles(count: number, path: (name: string) => string): string[] {
  const names = Array.from({ length: count }, (_, i) => `file-${String(i).padStart(6, '0')}`);
  for (const name of names) fs.closeSync(fs.openSync(path(name), 'w'));
  return names;
}

const visible = (entries: readonly { name: Buffer }[]): string[] =>
  entries.map((entry) => entry.name.toString()).filter((name) => name !== '.' && name !== '..');

export const listing: CaseGroup = {
  '2,000 entries are listed once each, and can all be removed': ({ at, dir }) => {
    const made = makeFiles(LARGE, at);
    assert.deepEqual(namesIn(dir), made);
    for (const name of made) fs.unlinkSync(at(name));
    assert.deepEqual(namesIn(dir), []);
  },

  'entries carry the inode number and type that stat shows': ({ at, dir }) => {
    fs.writeFileSync(at('f'), '');
    fs.mkdirSync(at('d'));
    fs.symlinkSync('f', at('s'));
    fs.linkSync(at('f'), at('g'));
    for (const entry of withFile(dir, 'r', readAllEntries)) {
      const name = entry.name.toString();
      const stat = fs.lstatSync(`${dir}/${name}`);
      assert.equal(entry.ino, stat.ino, `ino of ${name}`);
      assert.equal(entry.type, stat.mode >> 12, `type of ${name}`);
    }
  },

  '"." and ".." are listed, once': ({ at }) => {
    fs.mkdirSync(at('d'));
    const entries = withFile(at('d'), 'r', readAllEntries);
    assert.deepEqual(entries.map((entry) => entry.name.toString()).sort(), ['.', '..']);
  },

  'entries that stay are listed exactly once while others are added': ({ at, dir }) => {
    const made = makeFiles(1000, at);
    const seen = withFile(dir, 'r', (fd) => {
      const names: string[] = [];
      for (let round = 0; ; round++) {
        const some = readEntries(fd, SMALL_BUFFER);
        if (some.length === 0) return names;
        names.push(...visible(some));
        if (round < 50) fs.writeFileSync(at(`added-${round}`), '');
      }
    });
    const stayed = seen.filter((name) => name.startsWith('file-')).sort();
    assert.deepEqual(stayed, made);
    assert.equal(new Set(seen).size, seen.length, 'no name twice');
  },

  'entries that stay are listed exactly once while others are removed': ({ at, dir }) => {
    const made = makeFiles(1000, at);
    const removed = new Set<string>();
    const seen = withFile(dir, 'r', (fd) => {
      const names: string[] = [];
      for (;;) {
        const some = visible(readEntries(fd, SMALL_BUFFER));
        if (some.length === 0 && names.length > 0) return names;
        names.push(...some);
        for (const name of some.filter((_, i) => i % 2 === 0)) {
          fs.unlinkSync(at(name));
          removed.add(name);
        }
      }
    });
    assert.deepEqual([...seen].sort(), made);
    assert.deepEqual(
      namesIn(dir),
      made.filter((name) => !removed.has(name)),
    );
  },

  'reading and removing in one pass (rm -r) empties a directory': ({ at, dir }) => {
    makeFiles(1000, at);
    withFile(dir, 'r', (fd) => {
      for (;;) {
        const some = readEntries(fd, SMALL_BUFFER);
        if (some.length === 0) return;
        for (const name of visible(some)) fs.unlinkSync(at(name));
      }
    });
    assert.deepEqual(namesIn(dir), []);
  },

  'rewinddir shows what was added and removed meanwhile': ({ at, dir }) => {
    makeFiles(10, at);
    withFile(dir, 'r', (fd) => {
      assert.equal(visible(readAllEntries(fd)).length, 10);
      fs.unlinkSync(at('file-000003'));
      fs.writeFileSync(at('added'), '');
      seek(fd, 0, 0);
      const again = visible(readAllEntries(fd)).sort();
      assert.equal(again.length, 10);
      assert.ok(again.includes('added') && !again.includes('file-000003'));
    });
  },

  'seekdir to any telldir position goes on exactly there': ({ at, dir }) => {
    makeFiles(300, at);
    withFile(dir, 'r', (fd) => {
      const all = readAllEntries(fd, SMALL_BUFFER);
      for (const i of [0, 1, 2, 7, 100, 255, all.length - 2]) {
        seek(fd, all[i]!.cookie, 0);
        const next = readEntries(fd, SMALL_BUFFER)[0]!;
        assert.equal(next.name.toString(), all[i + 1]!.name.toString(), `after entry ${i}`);
      }
      seek(fd, all.at(-1)!.cookie, 0);
      assert.equal(readEntries(fd).length, 0, 'after the last entry');
    });
  },

  'a position survives the removal of the entry it stands at': ({ at, dir }) => {
    makeFiles(100, at);
    withFile(dir, 'r', (fd) => {
      const all = readAllEntries(fd, SMALL_BUFFER);
      const index = all.findIndex((entry, i) => i > 20 && entry.name.length > 2);
      fs.unlinkSync(at(all[index]!.name.toString()));
      seek(fd, all[index]!.cookie, 0);
      const rest = visible(readAllEntries(fd, SMALL_BUFFER));
      assert.deepEqual(rest, visible(all.slice(index + 1)));
    });
  },

  'two descriptors of one directory have positions of their own': ({ at, dir }) => {
    makeFiles(500, at);
    withFile(dir, 'r', (a) =>
      withFile(dir, 'r', (b) => {
        const first = readEntries(a, SMALL_BUFFER);
        assert.equal(visible(readAllEntries(b)).length, 500);
        assert.equal(visible(first).length + visible(readAllEntries(a)).length, 500);
      }),
    );
  },

  'a listing sees what was just created, renamed and removed': ({ at, dir }) => {
    namesIn(dir);
    fs.writeFileSync(at('a'), '');
    assert.deepEqual(namesIn(dir), ['a']);
    fs.renameSync(at('a'), at('b'));
    assert.deepEqual(namesIn(dir), ['b']);
    fs.mkdirSync(at('c'));
    fs.renameSync(at('b'), at('c', 'b'));
    assert.deepEqual([namesIn(dir), namesIn(at('c'))], [['c'], ['b']]);
    fs.unlinkSync(at('c', 'b'));
    assert.deepEqual(namesIn(at('c')), []);
  },
};
