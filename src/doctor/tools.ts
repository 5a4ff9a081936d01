import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { type Check, check } from './check.ts';

/** Programs that byref starts, and what does not work without each. */
const TOOLS: readonly (readonly [name: string, cost: string])[] = [
  ['tar', 'templates can not be compared with tar in the tests (apt-get install tar)'],
  ['gzip', 'no import of .tar.gz (apt-get install gzip)'],
  ['xz', 'no import of .tar.xz (apt-get install xz-utils)'],
  ['zstd', 'no import of .tar.zst (apt-get install zstd)'],
  ['runc', 'envs can be mounted, but not started as containers (apt-get install runc)'],
];

export const toolChecks = (): Check[] =>
  TOOLS.map(([name, cost]) => {
    const found = which(name);
    return check(`tool.${name}`, found !== null, found ?? 'none', cost, 'reduced');
  });

/** The first executable of that name on PATH. */
export function which(name: string): string | null {
  const directories = (process.env['PATH'] ?? '').split(path.delimiter);
  for (const directory of [...directories, '/usr/sbin', '/sbin']) {
    const candidate = path.join(directory, name);
    if (isExecutable(candidate)) return candidate;
  }
  return null;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
