/** A directory for one build: removed at its end, or, if the build was killed, when the next one begins. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { isAlive } from '../base/proc.ts';

const PREFIX = 'byref-build-';
const DIR = '/var/tmp';
const OWNER = /^byref-build-(\d+)-/;

export async function withWorkplace<T>(work: (dir: string) => Promise<T>): Promise<T> {
  sweep();
  const dir = mkdtempSync(path.join(DIR, `${PREFIX}${process.pid}-`));
  try {
    return await work(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function sweep(): void {
  for (const name of readdirSync(DIR)) {
    const pid = Number(OWNER.exec(name)?.[1] ?? 0);
    if (pid > 0 && !isAlive(pid)) rmSync(path.join(DIR, name), { recursive: true, force: true });
  }
}
