import type { Operation } from './operation.ts';

/** Histories that failed once, shrunk, by what was wrong. */
export const REGRESSIONS: Readonly<Record<string, readonly Operation[]>> = {
  'a removed template directory made anew, renamed over an empty one': [
    { op: 'unlink', path: 'e/c' },
    { op: 'rmdir', path: 'e' },
    { op: 'mkdir', path: 'e' },
    { op: 'rename', path: 'd/d', to: 'e', flags: 0 },
    { op: 'readdir', path: 'e' },
    { op: 'remount' },
    { op: 'read', path: 'e/b' },
  ],
  'a file that becomes set-group-ID while it is open opens again for writing': [
    { op: 'open', path: 'a', slot: 0 },
    { op: 'chmod', path: 'a', mode: 0o2644 },
    { op: 'write', path: 'a', offset: 0, text: 'second writer' },
    { op: 'pread', slot: 0 },
  ],
  'exchange of a template directory with its link’s name': [
    { op: 'rename', path: 'd', to: 'ds', flags: 2 },
    { op: 'readdir', path: 'ds' },
    { op: 'readdir', path: 'd' },
    { op: 'remount' },
    { op: 'write', path: 'ds/h1', offset: 3, text: 'x' },
    { op: 'read', path: 'h2' },
  ],
};
