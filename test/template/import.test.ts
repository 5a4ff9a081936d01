import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { nameFromText, ROOT_INO } from '../../src/base/ids.ts';
import { COOKIE_START } from '../../src/base/name-hash.ts';
import { FLAG_SHARED } from '../../src/codec/inode-record.ts';
import { exportTemplate } from '../../src/manager/templates/export.ts';
import { importTemplate } from '../../src/manager/templates/import.ts';
import { versionTree } from '../../src/manager/templates/walk-version.ts';
import { atEnd, scratchDir, scratchFile } from '../support/machine/scratch-dir.ts';
import { NOT_UTF8, rootFileSystem } from '../support/trees/root-file-system.ts';
import { contents, objectFiles, scratchStore } from '../support/trees/scratch-store.ts';
import { archive, file } from '../support/trees/tar-members.ts';

/** Unpacks as a person would: GNU tar, as root. */
function unpack(tar: string): string {
  const dir = path.join(scratchDir(), 'tree');
  mkdirSync(dir);
  const flags = ['--xattrs', '--xattrs-include=*', '--acls', '--numeric-owner', '-xpf'];
  execFileSync('tar', ['-C', dir, ...flags, tar]);
  return dir;
}

it('is imported from a pipe, too', async () => {
  const store = await scratchStore();
  const archive = scratchFile('a.tar', rootFileSystem());
  await importTemplate(store, 'file', archive);
  const pipe = path.join(scratchDir(), 'pipe');
  execFileSync('mkfifo', [pipe]);
  const written = once(spawn('cp', [archive, pipe], { stdio: 'ignore' }), 'close');
  await importTemplate(store, 'pipe', pipe);
  expect(await written).toEqual([0, null]);
  expect(contents(store, 'pipe')).toEqual(contents(store, 'file'));
});

describe('an archive with everything a root file system has', () => {
  it('is imported with all of it', async () => {
    const store = await scratchStore();
    await importTemplate(store, 'os', scratchFile('a.tar', rootFileSystem()));
    const all = contents(store, 'os');
    const at = (name: string) => all.get(name);
    expect(at('')).toMatchObject({ mode: 0o40755, nlink: 7, mtimeNs: 5 });
    expect(at('usr/bin/tool')).toMatchObject({ mode: 0o104755, nlink: 3, mtimeNs: 123_456_789 });
    expect(at('usr/bin/tool')?.links).toBe(at('tool-3')?.links);
    expect(at('usr/bin/tool-2')?.links).toBe(at('tool-3')?.links);
    expect(at('bin')).toMatchObject({ mode: 0o120777, target: 'usr/bin', size: 7 });
    expect(at('long')?.target).toHaveLength(183);
    expect(at('etc/passwd')).toMatchObject({ mode: 0o100640, gid: 42, size: 26 });
    expect(at('etc/same-as-passwd')?.object).toBe(at('etc/passwd')?.object);
    expect(at('etc/empty')).toMatchObject({ size: 0, object: '' });
    expect(at('etc/attributes')?.xattrs).toEqual({
      'user.one': '00ff0a3d',
      'user.two': '7a776569',
      'user.a=b': '657175616c73',
    });
    expect(at('usr/bin/ping')?.xattrs['security.capability']).toMatch(/^01000002/);
    expect(at('etc/acl')?.xattrs['system.posix_acl_access']).toMatch(/^02000000/);
    expect(at('etc/default-acl')?.xattrs['system.posix_acl_default']).toMatch(/^02000000/);
    expect(at('dev/null')).toMatchObject({ mode: 0o20666, rdev: 0x103 });
    expect(at('dev/pipe')).toMatchObject({ mode: 0o10600 });
    expect(at('tmp')).toMatchObject({ mode: 0o41777 });
    expect(at('big-ids')).toMatchObject({ uid: 3_000_000, gid: 4_000_000_000 });
    expect(at('before-1970')).toMatchObject({ mtime: -601, mtimeNs: 500_000_000 });
    expect(at(NOT_UTF8)).toMatchObject({ size: 5 });
    expect(at('large')).toMatchObject({ size: 5 * 2 ** 20 + 3 });
  });

  it('compares equal when it comes as the directory that GNU tar makes of it', async () => {
    const store = await scratchStore();
    const tar = scratchFile('a.tar', rootFileSystem());
    await importTemplate(store, 'from-tar', tar);
    await importTemplate(store, 'from-dir', unpack(tar));
    expect(contents(store, 'from-dir')).toEqual(contents(store, 'from-tar'));
  });

  it('compares equal after an export, read by us and by GNU tar', async () => {
    const store = await scratchStore();
    await importTemplate(store, 'os', scratchFile('a.tar', rootFileSystem()));
    const out = path.join(scratchDir(), 'out.tar');
    exportTemplate(store, 'os', out);
    await importTemplate(store, 'again', out);
    await importTemplate(store, 'unpacked', unpack(out));
    expect(contents(store, 'again')).toEqual(contents(store, 'os'));
    expect(contents(store, 'unpacked')).toEqual(contents(store, 'os'));
  });

  it.each([
    ['gzip', '.gz'],
    ['xz', '.xz'],
    ['zstd', '.zst'],
  ])('may be compressed with %s', async (tool, suffix) => {
    const store = await scratchStore();
    const tar = scratchFile('a.tar', rootFileSystem());
    await importTemplate(store, 'plain', tar);
    execFileSync(tool, ['-k', '-q', tar]);
    await importTemplate(store, 'packed', tar + suffix);
    expect(contents(store, 'packed')).toEqual(contents(store, 'plain'));
  });

  it('marks what is executed and mapped for the shared data path', async () => {
    const store = await scratchStore();
    const tar = scratchFile('a.tar', rootFileSystem());
    await importTemplate(store, 'os', tar);
    expect(contents(store, 'os').get('usr/bin/ping')?.flags).toBe(FLAG_SHARED);
    expect(contents(store, 'os').get('etc/passwd')?.flags).toBe(0);
    await importTemplate(store, 'mine', tar, { sharedPatterns: ['/etc/pass*'] });
    expect(contents(store, 'mine').get('usr/bin/ping')?.flags).toBe(0);
    expect(contents(store, 'mine').get('etc/passwd')?.flags).toBe(FLAG_SHARED);
  });
});

describe('objects', () => {
  it('are named by what they hold, read-only, and one per content', async () => {
    const store = await scratchStore();
    await importTemplate(store, 'os', scratchFile('a.tar', rootFileSystem()));
    const files = objectFiles(store);
    const contentsOf = new Set([...contents(store, 'os').values()].map(({ object }) => object));
    expect(files).toHaveLength([...contentsOf].filter((id) => id !== '').length);
    for (const name of files) {
      const at = path.join(store.objects.dir, name);
      const id = createHash('sha256').update(readFileSync(at)).digest('hex');
      expect(name.replace('/', '')).toBe(id);
      expect(statSync(at).mode & 0o7777).toBe(0o400);
    }
  });

  it("of sparse files stay sparse, from a directory and from each of GNU tar's formats", async () => {
    const store = await scratchStore();
    const dir = scratchDir();
    const sparse = path.join(dir, 'sparse');
    const fd = openSync(sparse, 'w');
    for (let i = 0; i < 40; i++) writeSync(fd, Buffer.alloc(5000, 'data'), 0, 5000, i * 2 ** 21);
    closeSync(fd);
    truncateSync(sparse, 100 * 2 ** 20 + 1);
    const id = createHash('sha256').update(readFileSync(sparse)).digest('hex');
    for (const format of ['gnu', 'pax --sparse-version=0.0', 'pax --sparse-version=0.1', 'posix']) {
      const tar = path.join(scratchDir(), 'sparse.tar');
      execFileSync('tar', [
        '-C',
        dir,
        '-S',
        ...`--format=${format}`.split(' '),
        '-cf',
        tar,
        'sparse',
      ]);
      expect(statSync(tar).size).toBeLessThan(2 ** 20);
      const one = await scratchStore();
      await importTemplate(one, 'os', tar);
      expect(contents(one, 'os').get('sparse')?.object, format).toBe(id);
      expect(statSync(one.objects.path(id as never)).blocks * 512).toBeLessThan(2 ** 20);
    }
    await importTemplate(store, 'os', dir);
    expect(contents(store, 'os').get('sparse')?.object).toBe(id);
    expect(statSync(store.objects.path(id as never)).blocks * 512).toBeLessThan(2 ** 20);
  });
});

/** Bytes that this process has read, with all of its threads. */
const bytesRead = (): number =>
  Number(/^rchar: ([0-9]+)$/m.exec(readFileSync('/proc/self/io', 'latin1'))?.[1]);

describe('files with holes', () => {
  const HOLES: [name: string, size: number, data: number[]][] = [
    ['hole', 128 * 2 ** 20, []],
    ['small-hole', 2 ** 16, []],
    ['hole-first', 40 * 2 ** 20, [40 * 2 ** 20 - 4096]],
    ['hole-last', 40 * 2 ** 20 + 7, [0, 2 ** 24]],
  ];
  function holes(): string {
    const dir = scratchDir();
    for (const [name, size, data] of HOLES) {
      const fd = openSync(path.join(dir, name), 'w');
      for (const at of data) writeSync(fd, Buffer.alloc(4096, 'data'), 0, 4096, at);
      ftruncateSync(fd, size);
      closeSync(fd);
    }
    return dir;
  }
  const idOf = (file: string): string =>
    createHash('sha256').update(readFileSync(file)).digest('hex');

  it('are imported without reading the holes, and have the blocks of their data', async () => {
    const store = await scratchStore();
    const dir = holes();
    const ids = HOLES.map(([name]) => idOf(path.join(dir, name)));
    const before = bytesRead();
    await importTemplate(store, 'os', dir);
    expect(bytesRead() - before).toBeLessThan(16 * 2 ** 20);
    const lower = versionTree(store, 'os');
    const records = HOLES.map(([name]) => lower.lookup(ROOT_INO, nameFromText(name))!);
    expect(records.map(({ object }) => object)).toEqual(ids);
    expect(records.map(({ blocks }) => blocks)).toEqual([0, 0, 8, 16]);
  });

  it('are exported as sparse members, which GNU tar and an import unpack as they were', async () => {
    const store = await scratchStore();
    const dir = holes();
    await importTemplate(store, 'os', dir);
    const out = path.join(scratchDir(), 'out.tar');
    const before = bytesRead();
    exportTemplate(store, 'os', out);
    expect(bytesRead() - before).toBeLessThan(2 ** 20);
    expect(statSync(out).size).toBeLessThan(2 ** 16);
    await importTemplate(store, 'again', out);
    expect(contents(store, 'again')).toEqual(contents(store, 'os'));
    const unpacked = unpack(out);
    for (const [name, size, data] of HOLES) {
      const { size: is, blocks } = statSync(path.join(unpacked, name));
      expect([name, is, blocks]).toEqual([name, size, data.length * 8]);
      expect(idOf(path.join(unpacked, name))).toBe(idOf(path.join(dir, name)));
    }
  });

  it('of very many pieces are exported and imported', async () => {
    const store = await scratchStore();
    const dir = scratchDir();
    const fd = openSync(path.join(dir, 'pieces'), 'w');
    for (let i = 0; i < 5000; i++) writeSync(fd, Buffer.alloc(4096, i), 0, 4096, i * 8192);
    closeSync(fd);
    await importTemplate(store, 'os', dir);
    const out = path.join(scratchDir(), 'out.tar');
    exportTemplate(store, 'os', out);
    expect(statSync(out).size).toBeLessThan(21 * 2 ** 20);
    await importTemplate(store, 'again', out);
    expect(contents(store, 'again')).toEqual(contents(store, 'os'));
  });
});

describe('a directory', () => {
  it('loses its sockets, with a warning', async () => {
    const store = await scratchStore();
    const dir = scratchDir();
    const server = createServer().listen(path.join(dir, 'socket'));
    atEnd(() => void server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    writeFileSync(path.join(dir, 'file'), 'x');
    const warnings: string[] = [];
    await importTemplate(store, 'os', dir, { warn: (message) => warnings.push(message) });
    expect([...contents(store, 'os').keys()]).toEqual(['', 'file']);
    expect(warnings.join()).toMatch(/socket: a socket, skipped/);
  });

  it('that is another file system, below, is left out', async () => {
    const store = await scratchStore();
    const dir = scratchDir();
    mkdirSync(path.join(dir, 'proc'));
    execFileSync('mount', ['-t', 'tmpfs', 'none', path.join(dir, 'proc')]);
    atEnd(() => void execFileSync('umount', [path.join(dir, 'proc')]));
    const warnings: string[] = [];
    await importTemplate(store, 'os', dir, { warn: (message) => warnings.push(message) });
    expect(contents(store, 'os').has('proc')).toBe(false);
    expect(warnings).toHaveLength(1);
  });
});

it('many small files take the worker threads, and come out right', async () => {
  const store = await scratchStore();
  const members = Array.from({ length: 3000 }, (_, i) => file(`f${i}`, `content ${i % 2000}`));
  await importTemplate(store, 'os', scratchFile('many.tar', archive(...members)));
  const all = contents(store, 'os');
  for (let i = 0; i < 3000; i++) {
    const id = createHash('sha256')
      .update(`content ${i % 2000}`)
      .digest('hex');
    expect(all.get(`f${i}`)?.object).toBe(id);
  }
  expect(objectFiles(store)).toHaveLength(2000);
});

it('a directory with 100,000 files is listed in pages, each name once', async () => {
  const store = await scratchStore();
  const members = Array.from({ length: 100_000 }, (_, i) => file(`file-${i}`, ''));
  await importTemplate(store, 'os', scratchFile('wide.tar', archive(...members)));
  const lower = versionTree(store, 'os');
  const seen = new Set<string>();
  for (let after = COOKIE_START; ; ) {
    const page = lower.list(ROOT_INO, after, 500);
    for (const { name } of page) seen.add(name);
    if (page.length === 0) break;
    after = page.at(-1)?.cookie ?? 0;
  }
  expect(seen.size).toBe(100_000);
});
