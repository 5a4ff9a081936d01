import fs from 'node:fs';
import path from 'node:path';
import { setXattr } from '../syscalls/index.ts';

/** One name of a tree that a template has: made on disk for the import, and in memory for the reference. */
export type TreeEntry =
  | { readonly path: string; readonly kind: 'directory'; readonly mode?: number }
  | {
      readonly path: string;
      readonly kind: 'file';
      readonly text: string;
      readonly mode?: number;
      /** Value of user.one. */
      readonly xattr?: string;
    }
  | { readonly path: string; readonly kind: 'symlink'; readonly target: string }
  | { readonly path: string; readonly kind: 'link'; readonly of: string };

export type Version = readonly TreeEntry[];

/** Versions of the OS template: every history starts from the first. Between them, each kind of name becomes each other. */
export const OS_VERSIONS: readonly Version[] = [
  [
    { path: 'a', kind: 'file', text: 'file a of the template' },
    { path: 'b', kind: 'file', text: 'b'.repeat(10_000) },
    { path: 'c', kind: 'directory' },
    { path: 'd', kind: 'directory' },
    { path: 'd/a', kind: 'file', text: 'd/a' },
    { path: 'd/d', kind: 'directory' },
    { path: 'd/d/b', kind: 'file', text: 'deep', mode: 0o4755 },
    { path: 'd/h1', kind: 'file', text: 'one file of three names' },
    { path: 'h1', kind: 'link', of: 'd/h1' },
    { path: 'h2', kind: 'link', of: 'd/h1' },
    { path: 'e', kind: 'directory' },
    { path: 'e/c', kind: 'file', text: '' },
    { path: 's', kind: 'symlink', target: 'a' },
    { path: 'ds', kind: 'symlink', target: 'd' },
  ],
  // As after an ordinary patch: files replaced, some gone, some new; and a directory that is a file now.
  [
    { path: 'a', kind: 'file', text: 'file a, patched', xattr: 'patched' },
    { path: 'c', kind: 'directory' },
    { path: 'c/a', kind: 'file', text: 'c/a' },
    { path: 'd', kind: 'directory' },
    { path: 'd/a', kind: 'file', text: 'd/a' },
    { path: 'd/b', kind: 'file', text: 'd/b, new' },
    { path: 'd/h1', kind: 'file', text: 'patched, of two names' },
    { path: 'h1', kind: 'link', of: 'd/h1' },
    { path: 'e', kind: 'file', text: 'a file now' },
    { path: 's', kind: 'symlink', target: 'b' },
    { path: 'ds', kind: 'symlink', target: 'd' },
  ],
  // As after another release: little is where it was.
  [
    { path: 'a', kind: 'directory' },
    { path: 'a/a', kind: 'file', text: 'a/a' },
    { path: 'b', kind: 'file', text: 'b'.repeat(10_000) },
    { path: 'e', kind: 'directory', mode: 0o711 },
    { path: 'e/c', kind: 'symlink', target: 'd/b' },
    { path: 'e/d', kind: 'directory' },
    { path: 'e/d/b', kind: 'file', text: 'e/d/b' },
    { path: 'h1', kind: 'file', text: 'alone' },
    { path: 'h2', kind: 'symlink', target: 'h1' },
    { path: 'ds', kind: 'symlink', target: 'e' },
  ],
  // Much as the first, with other attributes.
  [
    { path: 'a', kind: 'file', text: 'file a of the template', mode: 0o755 },
    { path: 'b', kind: 'file', text: 'b'.repeat(9_000) },
    { path: 'd', kind: 'directory', mode: 0o700 },
    { path: 'd/a', kind: 'file', text: 'd/a', xattr: 'other' },
    { path: 'd/d', kind: 'directory', mode: 0o1777 },
    { path: 'd/d/a', kind: 'file', text: 'd/d/a' },
    { path: 'd/d/b', kind: 'file', text: 'deeper', mode: 0o6711 },
    { path: 'd/h1', kind: 'file', text: 'one file of three names' },
    { path: 'h1', kind: 'link', of: 'd/h1' },
    { path: 'h2', kind: 'link', of: 'd/h1' },
    { path: 'e', kind: 'directory' },
    { path: 's', kind: 'symlink', target: 'd/d' },
    { path: 'ds', kind: 'directory' },
    { path: 'ds/a', kind: 'file', text: 'ds/a' },
  ],
];

/** Versions of the app template, which lies on top; its first has nothing here, its last hides a directory by a file. */
export const APP_VERSIONS: readonly Version[] = [
  [],
  [
    { path: 'b', kind: 'file', text: 'b of the app' },
    { path: 'd', kind: 'directory', mode: 0o750 },
    { path: 'd/b', kind: 'file', text: 'd/b of the app' },
    { path: 'd/d', kind: 'directory' },
    { path: 'd/d/b', kind: 'file', text: 'deep, of the app' },
  ],
  [
    { path: 'd', kind: 'directory' },
    { path: 'd/b', kind: 'file', text: 'd/b of the app, patched' },
    { path: 'd/a', kind: 'file', text: 'd/a of the app' },
    { path: 'd/d', kind: 'file', text: 'd/d of the app' },
    { path: 'c', kind: 'directory' },
    { path: 'c/a', kind: 'directory' },
    { path: 'c/a/a', kind: 'file', text: 'c/a/a of the app' },
    { path: 'c/b', kind: 'file', text: 'c/b of the app' },
  ],
];

/** What all files of the trees are last modified at, in nanoseconds. */
export const START_MTIME_NS = 1_600_000_000_000_000_000n;

export function makeTree(dir: string, version: Version): void {
  fs.mkdirSync(dir, { recursive: true });
  for (const entry of version) {
    const at = path.join(dir, entry.path);
    if (entry.kind === 'directory') fs.mkdirSync(at, { mode: 0o755 });
    else if (entry.kind === 'file') fs.writeFileSync(at, entry.text, { mode: 0o644 });
    else if (entry.kind === 'symlink') fs.symlinkSync(entry.target, at);
    else fs.linkSync(path.join(dir, entry.of), at);
    if ('mode' in entry) fs.chmodSync(at, entry.mode);
    if ('xattr' in entry) setXattr(at, 'user.one', entry.xattr);
  }
  const seconds = Number(START_MTIME_NS / 1_000_000_000n);
  for (const entry of version) fs.lutimesSync(path.join(dir, entry.path), seconds, seconds);
}
