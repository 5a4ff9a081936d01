/** Directories for temporary trees and archives, each of which a process removes when it is done with it. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { isAlive } from './proc.ts';

/** Where they are: not below /tmp, which may be in memory. */
export const TEMPORARY_DIR = process.env['BYREF_TMPDIR'] ?? '/var/tmp';
/** What they are for. */
const USES = ['base', 'build', 'packages', 'verify'] as const;
/** Matches the name of one, which contains the pid of its process. */
const OWNER = new RegExp(`^byref-(?:${USES.join('|')})-(\\d+)-`);

/** Makes one. @throws the system's error */
export const makeTemporaryDir = (use: (typeof USES)[number]): string =>
  mkdtempSync(path.join(TEMPORARY_DIR, `byref-${use}-${process.pid}-`));

/** Removes those whose process was killed. */
export function sweepTemporaryDirs(): void {
  for (const name of readdirSync(TEMPORARY_DIR)) {
    const pid = Number(OWNER.exec(name)?.[1] ?? 0);
    if (pid > 0 && !isAlive(pid))
      rmSync(path.join(TEMPORARY_DIR, name), { recursive: true, force: true });
  }
}
