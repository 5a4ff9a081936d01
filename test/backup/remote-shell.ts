import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestRoot } from '../support/machine/root.ts';

/**
 * Returns a program that runs a command line on a host, as ssh does; the host is another root.
 * @param before what stands before the command: the first time @param later the same each further time
 */
export function shellTo(here: TestRoot, there: TestRoot, before = '', later = ''): string {
  const file = path.join(here.base, 'remote-shell');
  const again = `[ ! -e "$0.used" ] || exec ${later} sh -c "$*"; : >"$0.used"`;
  const own = ['BYREF_ROOT', 'BYREF_RUN', 'BYREF_TMPDIR'].map(
    (name) => `export ${name}='${there.env[name]}'`,
  );
  const lines = ['#!/bin/sh', 'shift', 'unset BYREF_FAILPOINT', ...own, again];
  writeFileSync(file, [...lines, `exec ${before} sh -c "$*"`, ''].join('\n'));
  chmodSync(file, 0o755);
  rmSync(`${file}.used`, { force: true });
  return file;
}
