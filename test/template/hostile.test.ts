import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { importTemplate } from '../../src/manager/templates/import.ts';
import { scratchDir, scratchFile } from '../support/machine/scratch-dir.ts';
import { rootFileSystem } from '../support/trees/root-file-system.ts';
import { contents, objectFiles, scratchStore } from '../support/trees/scratch-store.ts';
import { archive, dir, file, hardLink, member, symlink } from '../support/trees/tar-members.ts';

/** Refused half-way: by then there is content that nothing refers to. */
const after = (...members: Buffer[]): Buffer =>
  archive(file('big', Buffer.alloc(6 * 2 ** 20, 'big')), ...members);
const truncated = (bytes: Buffer, keep: number): Buffer => bytes.subarray(0, keep);
const whole = rootFileSystem();

/** What is refused, and a word of the sentence that says so. */
const REFUSED: [string, Buffer, RegExp][] = [
  [
    'an absolute path',
    after(file('ok', 'x'), file('/tmp/evil', 'x')),
    /absolute path: \/tmp\/evil/,
  ],
  ['".." in a path', after(file('ok', 'x'), file('a/../../evil', 'x')), /"\.\." in a path/],
  ['a hard link to an absolute path', after(hardLink('shadow', '/etc/shadow')), /absolute path/],
  ['a hard link out by ".."', after(hardLink('shadow', '../../etc/shadow')), /"\.\."/],
  ['a hard link to what it lacks', after(hardLink('a', 'b')), /which it does not have/],
  ['a hard link to a directory', after(dir('d/'), hardLink('a', 'd')), /which is a directory/],
  [
    'a file through an absolute symlink',
    after(symlink('evil', '/tmp'), file('evil/pwned', 'x')),
    /symlink that leaves the tree/,
  ],
  [
    'a file through a symlink upwards',
    after(dir('a/'), symlink('a/evil', '../../tmp'), file('a/evil/pwned', 'x')),
    /symlink that leaves the tree/,
  ],
  [
    'a hard link through a symlink out',
    after(symlink('evil', '/etc'), hardLink('shadow', 'evil/shadow')),
    /symlink that leaves the tree/,
  ],
  [
    'a path through a loop of symlinks',
    after(symlink('a', 'b'), symlink('b', 'a'), file('a/x', 'x')),
    /loop of symlinks/,
  ],
  ['a file below a file', after(file('a', 'x'), file('a/b', 'x')), /not a directory/],
  ['a name that is too long', after(file('n'.repeat(256), 'x')), /255 bytes/],
  ['a member of an unknown kind', after(member({ path: 'x', type: 'Z' })), /not known: "Z"/],
  ['an archive cut inside a file', truncated(whole, whole.length - 2 * 2 ** 20), /truncated/],
  ['an archive cut inside a header', truncated(whole, 512 * 3 + 100), /truncated/],
  ['an archive cut between members', truncated(whole, whole.length - 1024), /truncated/],
  ['an empty file', Buffer.alloc(0), /truncated/],
  ['a gzip archive that is cut', truncated(gzipSync(whole), 2000), /truncated or damaged \(gzip/],
  ['what is no archive', Buffer.alloc(4096, 'hello'), /not a tar archive/],
  ['a damaged header', Buffer.concat([file('a', 'x'), Buffer.alloc(512, 1)]), /not a tar archive/],
];

describe('refused with a sentence, the store as before', () => {
  it.each(REFUSED)('%s', async (_, bytes, sentence) => {
    const store = await scratchStore();
    const refusal = importTemplate(store, 'os', scratchFile('evil', bytes));
    await expect(refusal).rejects.toMatchObject({
      code: 'badInput',
      message: expect.stringMatching(sentence) as string,
    });
    expect(store.templates()).toEqual([]);
    expect(objectFiles(store)).toEqual([]);
    expect(existsSync('/tmp/pwned')).toBe(false);
  });
});

describe('harmless, though it looks odd', () => {
  it('a symlink that points out of the tree is only a symlink', async () => {
    const store = await scratchStore();
    const bytes = archive(symlink('a', '/etc/shadow'), symlink('b', '../../../etc/shadow'));
    await importTemplate(store, 'os', scratchFile('a.tar', bytes));
    expect(contents(store, 'os').get('b')?.target).toBe('../../../etc/shadow');
  });

  it('members through a symlink inside the tree are where it leads', async () => {
    const store = await scratchStore();
    const bytes = archive(dir('usr/lib/'), symlink('lib', 'usr/lib'), file('lib/libc.so', 'x'));
    await importTemplate(store, 'os', scratchFile('a.tar', bytes));
    expect(contents(store, 'os').has('usr/lib/libc.so')).toBe(true);
  });

  it('a member that comes twice counts as it came last, and its first content is not kept', async () => {
    const store = await scratchStore();
    const bytes = archive(file('a', 'first'), hardLink('b', 'a'), file('a', 'second'));
    await importTemplate(store, 'os', scratchFile('a.tar', bytes));
    const twice = contents(store, 'os');
    expect(twice.get('a')).toMatchObject({ size: 6, nlink: 1 });
    expect(twice.get('b')).toMatchObject({ size: 5, nlink: 1 });
    await importTemplate(
      store,
      'os2',
      scratchFile('b.tar', archive(file('a', '1'), file('a', '2'))),
    );
    expect(objectFiles(store)).toHaveLength(3);
  });

  it('parents that no member says anything of are made', async () => {
    const store = await scratchStore();
    await importTemplate(store, 'os', scratchFile('a.tar', archive(file('a/b/c', 'x'))));
    expect(contents(store, 'os').get('a/b')).toMatchObject({ mode: 0o40755, nlink: 2 });
  });
});

describe('a source', () => {
  it('that is not there, or a template name that can be none, is refused', async () => {
    const store = await scratchStore();
    await expect(importTemplate(store, 'os', '/no/such')).rejects.toMatchObject({
      code: 'notFound',
    });
    await expect(importTemplate(store, '../x', '/tmp')).rejects.toMatchObject({ code: 'usage' });
  });

  it('directory is left as it is, and one inside the root is not followed into it', async () => {
    const around = scratchDir();
    mkdirSync(`${around}/sub`);
    writeFileSync(`${around}/sub/file`, 'mine');
    const store = await scratchStore(`${around}/byref`);
    await importTemplate(store, 'os', around);
    expect([...contents(store, 'os').keys()]).toEqual(['', 'sub', 'sub/file']);
    expect(readFileSync(`${around}/sub/file`, 'utf8')).toBe('mine');
  });
});
