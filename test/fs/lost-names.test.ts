import { expect, test } from 'vitest';
import type { Ino, Name } from '../../src/base/ids.ts';
import { Inode } from '../../src/driver/core/inode.ts';
import { LostNames } from '../../src/driver/core/lost-names.ts';
import { plainDir } from '../../src/store/plain-dir.ts';

const DIR = 7 as Ino;
const name = (text: string): Name => text as Name;

function known(ino: number): Inode {
  const inode = new Inode(ino as Ino, plainDir(ino as Ino, DIR, name('any')), false);
  inode.lookups = 1;
  return inode;
}

test('a lost name is its file’s until the kernel forgets the file, or another one loses it', () => {
  const lost = new LostNames();
  const [first, second] = [known(10), known(11)];
  expect(lost.find(DIR, name('a'))).toBeNull();
  lost.note(first, DIR, name('a'));
  lost.note(first, DIR, name('b'));
  lost.note(second, DIR, name('b'));
  expect(lost.find(DIR, name('a'))).toBe(first);
  expect(lost.find(DIR, name('b'))).toBe(second);
  expect(lost.find(8 as Ino, name('a'))).toBeNull();
  lost.drop(first);
  expect(lost.find(DIR, name('a'))).toBeNull();
  expect(lost.find(DIR, name('b'))).toBe(second);
});

test('nothing is kept of a file that has no other name, or that the kernel does not know', () => {
  const lost = new LostNames();
  const [removed, unknown] = [known(10), known(11)];
  removed.record = { ...removed.record, nlink: 0 };
  unknown.lookups = 0;
  lost.note(removed, DIR, name('a'));
  lost.note(unknown, DIR, name('b'));
  expect(lost.find(DIR, name('a'))).toBeNull();
  expect(lost.find(DIR, name('b'))).toBeNull();
});

test('a file that loses names again and again keeps the last of them', () => {
  const lost = new LostNames();
  const inode = known(10);
  for (let i = 0; i < 1000; i++) lost.note(inode, DIR, name(`lock-${i}`));
  const kept = Array.from({ length: 1000 }, (_, i) => lost.find(DIR, name(`lock-${i}`)));
  expect(kept.filter((found) => found !== null).length).toBe(64);
  expect(kept[999]).toBe(inode);
});
