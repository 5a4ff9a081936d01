import { expect, it } from 'vitest';
import { type Name, ROOT_INO } from '../../src/base/ids.ts';
import { diffVersions } from '../../src/manager/templates/diff.ts';
import { importTemplate } from '../../src/manager/templates/import.ts';
import { versionTree } from '../../src/manager/templates/walk-version.ts';
import { removeTemplate, removeVersion } from '../../src/services/remove-template.ts';
import { showTemplate } from '../../src/services/show-template.ts';
import { rawTables } from '../../src/store/raw-tables.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { atEnd, scratchFile } from '../support/machine/scratch-dir.ts';
import { rootFileSystem } from '../support/trees/root-file-system.ts';
import { contents, objectFiles, scratchStore } from '../support/trees/scratch-store.ts';
import { archive, dir, file, hardLink, symlink } from '../support/trees/tar-members.ts';

const add = (store: Store, name: string, ...members: Buffer[]) =>
  importTemplate(store, name, scratchFile('a.tar', archive(...members)));
const lines = (store: Store, from: string, to: string) =>
  [...diffVersions(store, from, to)].map(({ kind, path }) => `${kind} ${path}`);

it('a second import is staged, and writes no row for what is as it was', async () => {
  const store = await scratchStore();
  const tar = scratchFile('a.tar', rootFileSystem());
  const first = await importTemplate(store, 'os', tar);
  const rows = rawTables(store).table('links').count;
  const next = rawTables(store).number('nextIno');
  const second = await importTemplate(store, 'os', tar, { label: 'again', note: 'the same' });
  expect(first.version).toMatchObject({ number: 1, staged: false });
  expect(second.version).toMatchObject({
    number: 2,
    staged: true,
    label: 'again',
    addedObjects: 0,
  });
  expect(store.template('os')).toMatchObject({ current: 1, newest: 2 });
  expect(rawTables(store).table('links').count).toBe(rows);
  expect(rawTables(store).number('nextIno')).toBe(next);
  expect(contents(store, 'os@2')).toEqual(contents(store, 'os@1'));
  expect(lines(store, 'os@1', 'os@2')).toEqual([]);
});

it('each version shows what it has, and files that stay keep their ino', async () => {
  const store = await scratchStore();
  const v1 = [dir('d/'), file('d/stays', 's'), file('d/goes', 'g'), file('becomes-dir', 'x')];
  await add(store, 'os', ...v1, dir('becomes-file/'), file('becomes-file/below', 'b'));
  const v2 = [dir('d/'), file('d/stays', 's'), file('d/new', 'n'), file('becomes-file', 'f')];
  await add(store, 'os', ...v2, dir('becomes-dir/'), file('becomes-dir/below', 'b'));
  await add(store, 'os', ...v1, dir('becomes-file/'), file('becomes-file/below', 'b'));
  expect(lines(store, 'os@1', 'os@2')).toEqual([
    'C /becomes-dir',
    'A /becomes-dir/below',
    'C /becomes-file',
    'D /becomes-file/below',
    'D /d/goes',
    'A /d/new',
  ]);
  expect(lines(store, 'os@1', 'os@3')).toEqual([]);
  expect(contents(store, 'os@3')).toEqual(contents(store, 'os@1'));
  const inoOf = (ref: string) => {
    const lower = versionTree(store, ref);
    const d = lower.lookup(ROOT_INO, 'd' as Name);
    return d && lower.lookup(d.ino, 'stays' as Name)?.ino;
  };
  expect(inoOf('os@2')).toBe(inoOf('os@1'));
  expect(inoOf('os@3')).toBe(inoOf('os@1'));
});

it('a change of one name of a hard link group gives the whole group a new ino', async () => {
  const store = await scratchStore();
  await add(store, 'os', file('a', 'x'), hardLink('b', 'a'));
  await add(store, 'os', file('a', 'x'), hardLink('b', 'a'), hardLink('c', 'a'));
  const [one, two] = [versionTree(store, 'os@1'), versionTree(store, 'os@2')];
  const before = one.lookup(ROOT_INO, 'a' as Name);
  const after = two.lookup(ROOT_INO, 'c' as Name);
  expect(after?.ino).not.toBe(before?.ino);
  expect(
    two
      .names(after?.ino ?? ROOT_INO)
      .map(({ name }) => name)
      .sort(),
  ).toEqual(['a', 'b', 'c']);
  expect(two.lookup(ROOT_INO, 'b' as Name)).toMatchObject({ ino: after?.ino, nlink: 3 });
  // An env that renamed the file before the patch still finds it.
  expect(two.inode(before?.ino ?? ROOT_INO)).toMatchObject({ ino: before?.ino, nlink: 2 });
  expect(two.names(before?.ino ?? ROOT_INO)).toEqual([]);
});

it('content is stored once, whichever template brought it, and goes with the last one', async () => {
  const store = await scratchStore();
  await add(store, 'one', file('a', 'shared'), file('b', 'only one'));
  const two = await importTemplate(
    store,
    'two',
    scratchFile('b.tar', archive(file('x', 'shared'), file('y', 'only two'))),
    { kind: 'app' },
  );
  expect(two.version).toMatchObject({ addedObjects: 1, addedBytes: 8, files: 2, bytes: 14 });
  expect(objectFiles(store)).toHaveLength(3);
  await add(store, 'one', file('a', 'changed'));
  expect(objectFiles(store)).toHaveLength(4);
  expect(await removeTemplate(store, 'one')).toEqual({ objects: 2, bytes: 15, later: false });
  expect(objectFiles(store)).toHaveLength(2);
  expect(contents(store, 'two').get('x')?.size).toBe(6);
  expect(await removeTemplate(store, 'two')).toEqual({ objects: 2, bytes: 14, later: false });
  expect(objectFiles(store)).toEqual([]);
  for (const table of ['links', 'changes', 'inodes', 'objects', 'versions', 'templates'] as const) {
    expect(rawTables(store).table(table).count, table).toBe(0);
  }
});

it('a template in use is not removed', async () => {
  const store = await scratchStore();
  await add(store, 'os', symlink('a', 'b'));
  await add(store, 'os', symlink('a', 'c'));
  store.createEnv({ name: 'follows', stack: ['os'] });
  store.createEnv({ name: 'pinned', stack: ['os@2'] });
  await expect(removeTemplate(store, 'os')).rejects.toThrow('in use by follows, pinned');
  await expect(removeTemplate(store, 'none')).rejects.toThrow('no template "none"');
  expect(showTemplate(store, 'os')).toMatchObject({
    versions: [{ number: 1 }, { number: 2 }],
    uses: [
      { env: 'follows', pinned: null },
      { env: 'pinned', pinned: 2 },
    ],
  });
});

it('a name keeps its kind', async () => {
  const store = await scratchStore();
  await add(store, 'os', file('a', 'x'));
  const tar = scratchFile('a.tar', archive(file('a', 'x')));
  await expect(importTemplate(store, 'os', tar, { kind: 'app' })).rejects.toThrow('is of kind os');
});

it('a version that is removed leaves later ones as they were, empty directories too', async () => {
  const store = await scratchStore();
  const v1 = [dir('empty/'), dir('gone/'), dir('full/'), file('full/stays', 's')];
  await add(store, 'os', ...v1, file('changes', 'one'));
  await add(
    store,
    'os',
    dir('empty/'),
    dir('full/'),
    file('full/stays', 's'),
    file('changes', 'two'),
  );
  const before = contents(store, 'os@2');
  rawTables(store).transaction(() => {
    store.catalog.put({ ...store.template('os')!, current: 2 });
  });
  await removeVersion(store, 'os', 1, true);
  // As a driver sees it that starts now.
  const reader = await openStore(store.root, { write: false });
  atEnd(() => reader.close());
  const lower = versionTree(reader, 'os@2');
  expect(contents(reader, 'os@2')).toEqual(before);
  for (const name of ['empty', 'full'] as Name[]) {
    const found = lower.lookup(ROOT_INO, name);
    expect(found && lower.inode(found.ino), name).toEqual(found);
  }
});
