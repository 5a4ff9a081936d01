import fs from 'node:fs';
import path from 'node:path';

/** What every history starts from: made on disk for the template, and in memory for the reference. */
export type TreeEntry =
  | { readonly path: string; readonly kind: 'directory' }
  | { readonly path: string; readonly kind: 'file'; readonly text: string }
  | { readonly path: string; readonly kind: 'symlink'; readonly target: string }
  | { readonly path: string; readonly kind: 'link'; readonly of: string };

export const START: readonly TreeEntry[] = [
  { path: 'a', kind: 'file', text: 'file a of the template' },
  { path: 'b', kind: 'file', text: 'b'.repeat(10_000) },
  { path: 'd', kind: 'directory' },
  { path: 'd/a', kind: 'file', text: 'd/a' },
  { path: 'd/d', kind: 'directory' },
  { path: 'd/d/b', kind: 'file', text: 'deep' },
  { path: 'd/h1', kind: 'file', text: 'one file of three names' },
  { path: 'h1', kind: 'link', of: 'd/h1' },
  { path: 'h2', kind: 'link', of: 'd/h1' },
  { path: 'e', kind: 'directory' },
  { path: 'e/c', kind: 'file', text: '' },
  { path: 's', kind: 'symlink', target: 'a' },
  { path: 'ds', kind: 'symlink', target: 'd' },
];

/** What all files of the tree are last modified at, in nanoseconds. */
export const START_MTIME_NS = 1_600_000_000_000_000_000n;

export function makeStartTree(dir: string): void {
  fs.mkdirSync(dir, { recursive: true });
  for (const entry of START) {
    const at = path.join(dir, entry.path);
    if (entry.kind === 'directory') fs.mkdirSync(at, { mode: 0o755 });
    else if (entry.kind === 'file') fs.writeFileSync(at, entry.text, { mode: 0o644 });
    else if (entry.kind === 'symlink') fs.symlinkSync(entry.target, at);
    else fs.linkSync(path.join(dir, entry.of), at);
  }
  const seconds = Number(START_MTIME_NS / 1_000_000_000n);
  for (const entry of START) fs.lutimesSync(path.join(dir, entry.path), seconds, seconds);
}
