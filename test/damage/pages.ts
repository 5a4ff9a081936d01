/** Changes bytes of files as a failing disk, or a hand, does. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { pageDamage } from '../../src/base/lmdb-pages.ts';

export const PAGE = 4096;

/** Overwrites bytes in place: the file keeps its inode. */
export function overwrite(file: string, at: number, bytes: Buffer): void {
  const whole = readFileSync(file);
  bytes.copy(whole, at);
  writeFileSync(file, whole, { flag: 'r+' });
}

/** Zeroes the last page that is in use. */
export function zeroOnePage(file: string): void {
  const whole = readFileSync(file);
  for (let page = Math.floor(statSync(file).size / PAGE) - 1; pageDamage(file) === null; page--) {
    writeFileSync(file, whole, { flag: 'r+' });
    overwrite(file, page * PAGE, Buffer.alloc(PAGE));
  }
}
