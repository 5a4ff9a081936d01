/** An env in which names are made all the time: what was copied of it shows whether the copy is of one moment. */
import { expect } from 'vitest';
import { sh } from './program.ts';
import type { TestRoot } from './root.ts';

/** Tells what a copy has, for expectOneMoment(); `$1` is where it is mounted. */
export const COUNTS = 'cd "$1"; ls a | wc -l; ls b | wc -l; wc -l <file; tail -n 1 file';

/** Does some work while a program makes names in a mounted env. */
export async function whileNamesAreMade(
  root: TestRoot,
  mountpoint: string,
  work: () => Promise<void>,
): Promise<void> {
  // Each name in b comes after its own in a, and the whole file is replaced by a rename.
  const script = `cd "$1"; mkdir a b; i=0; while :; do
    i=$((i + 1)); : >a/$i; ln a/$i b/$i; seq $i >new; mv new file; done`;
  const child = root.background(script, mountpoint);
  await expect
    .poll(() => sh('[ -e "$1/b/50" ]', [mountpoint]), { timeout: 20_000 })
    .toMatchObject({ code: 0 });
  await work();
  process.kill(-child.pid!, 'SIGKILL');
}

/** Expects what COUNTS printed to be of one moment. */
export function expectOneMoment(counts: string): void {
  const [a, b, lines, last] = counts.split('\n').map(Number);
  expect(b).toBeGreaterThanOrEqual(50);
  expect([0, 1]).toContain(a! - b!);
  expect([0, 1]).toContain(b! - last!);
  expect(lines).toBe(last);
}
