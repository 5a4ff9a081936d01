/** Two versions of a tree that differ in every way in which a patch can differ from what it patches. */
import {
  chmodSync,
  cpSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setXattr } from '../../syscalls/index.ts';

/** What a reader asks of a path, by the kinds of reader.c. */
export interface Probe {
  readonly kind: 'file' | 'map' | 'link' | 'mode' | 'xattr' | 'list';
  readonly path: string;
}

/** Sizes around a page and a readahead window: a torn read would show in the large ones. */
const SIZES = [1, 40, 4096, 5000, 70_000, 1_000_000];
/** Below usr by passthrough, below etc through the page cache. */
const PLACES = ['usr/lib', 'etc'];

const PAGE = 4096;

const content = (version: string, name: string, size: number): string =>
  `${version} ${name} `.repeat(Math.ceil(size / (name.length + 5))).slice(0, size);

/** Writes the old version into `oldDir`, the new one into `newDir`. */
export function writeVersions(oldDir: string, newDir: string): void {
  mkdirSync(oldDir, { recursive: true });
  for (const place of PLACES) writeOld(path.join(oldDir, place));
  cpSync(oldDir, newDir, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  for (const place of PLACES) makeNew(path.join(newDir, place));
}

const MORE = 24;

function writeOld(dir: string): void {
  const at = (...names: string[]): string => path.join(dir, ...names);
  const file = (name: string, text: string): void => {
    mkdirSync(path.dirname(at(name)), { recursive: true });
    writeFileSync(at(name), text);
  };
  for (const size of SIZES) file(`file-${size}`, content('old', `file-${size}`, size));
  for (let i = 0; i < MORE; i++) file(`many/m${i}`, `old ${i}`);
  file('same', 'the same in both');
  file('removed', 'old only');
  file('was-empty', '');
  file('becomes-empty', 'not empty');
  file('moved/from', 'moves');
  file('deep/a/b/c/file', 'old only');
  file('mode', 'the same');
  file('xattr', 'the same');
  setXattr(at('xattr'), 'user.version', Buffer.from('old'));
  file('hard-1', 'old hard');
  linkSync(at('hard-1'), at('hard-2'));
  file('dir-mode/file', 'the same');
  setXattr(at('dir-mode'), 'user.version', Buffer.from('old'));
  // Ways to `inside` that both versions have, over names that change their type or go.
  file('dir-to-link/inside', 'old inside');
  mkdirSync(at('link-to-dir-target'));
  file('link-to-dir-target/inside', 'old inside');
  symlinkSync('link-to-dir-target', at('link-to-dir'));
  file('v1/inside', 'old inside');
  symlinkSync('v1', at('current'));
  file('file-to-dir', 'a file');
  file('dir-to-file/inside', 'old only');
  symlinkSync('same', at('link-to-file'));
  file('file-to-link', 'a file');
}

function makeNew(dir: string): void {
  const at = (...names: string[]): string => path.join(dir, ...names);
  const file = (name: string, text: string): void => {
    mkdirSync(path.dirname(at(name)), { recursive: true });
    rmSync(at(name), { force: true });
    writeFileSync(at(name), text);
  };
  for (const size of SIZES) file(`file-${size}`, content('new', `file-${size}`, size));
  for (let i = 0; i < MORE; i += 2) file(`many/m${i}`, `new ${i}`);
  unlinkSync(at('many/m1'));
  file('many/added', 'new only');
  unlinkSync(at('removed'));
  file('added', 'new only');
  file('added-tree/x/y/file', 'new only');
  file('was-empty', 'no more');
  file('becomes-empty', '');
  renameSync(at('moved/from'), at('moved/to'));
  rmSync(at('deep/a'), { recursive: true });
  chmodSync(at('mode'), 0o4711);
  setXattr(at('xattr'), 'user.version', Buffer.from('new'));
  file('hard-1', 'new hard');
  rmSync(at('hard-2'));
  linkSync(at('hard-1'), at('hard-2'));
  chmodSync(at('dir-mode'), 0o711);
  setXattr(at('dir-mode'), 'user.version', Buffer.from('new'));
  renameSync(at('dir-to-link'), at('dir-to-link-target'));
  file('dir-to-link-target/inside', 'new inside');
  symlinkSync('dir-to-link-target', at('dir-to-link'));
  unlinkSync(at('link-to-dir'));
  renameSync(at('link-to-dir-target'), at('link-to-dir'));
  file('link-to-dir/inside', 'new inside');
  renameSync(at('v1'), at('v2'));
  file('v2/inside', 'new inside');
  unlinkSync(at('current'));
  symlinkSync('v2', at('current'));
  unlinkSync(at('file-to-dir'));
  file('file-to-dir/inside', 'new only');
  rmSync(at('dir-to-file'), { recursive: true });
  file('dir-to-file', 'a file');
  file('link-to-file', 'a file');
  unlinkSync(at('file-to-link'));
  symlinkSync('same', at('file-to-link'));
}

/** True for a file of more than one page: where pages are kept by path, those of two versions can meet in one read. */
export const hasPages = ({ path: name }: Probe): boolean =>
  SIZES.some((size) => size > PAGE && name.endsWith(`file-${size}`));

/** True for a path over a name that has another type in the other version. */
export const changesType = ({ path: name }: Probe): boolean =>
  /(dir|link|file)-to-(dir|link|file)\b/.test(name);

/** The probes of both places: everything above, and the listings it is in. */
export function probes(): Probe[] {
  return PLACES.flatMap((place) => {
    const of = (kind: Probe['kind'], ...names: string[]): Probe[] =>
      names.map((name) => ({ kind, path: name === '' ? place : `${place}/${name}` }));
    const many = Array.from({ length: MORE }, (_, i) => `many/m${i}`);
    const inside = ['dir-to-link', 'link-to-dir', 'current'].map((name) => `${name}/inside`);
    return [
      ...of('file', ...SIZES.map((size) => `file-${size}`), ...many, ...inside),
      ...of('map', 'file-5000', 'file-70000', 'current/inside'),
      ...of('file', 'same', 'removed', 'added', 'added-tree/x/y/file', 'was-empty'),
      ...of('file', 'becomes-empty', 'moved/from', 'moved/to', 'deep/a/b/c/file', 'many/added'),
      ...of('file', 'hard-1', 'hard-2', 'file-to-link', 'link-to-file'),
      ...of('mode', 'mode', 'dir-mode', 'file-to-dir', 'dir-to-file', 'dir-to-link', 'removed'),
      ...of('xattr', 'xattr', 'dir-mode'),
      ...of('link', 'current'),
      ...of('list', '', 'many', 'moved', 'deep', 'current', 'dir-mode', 'dir-to-link'),
    ];
  });
}
