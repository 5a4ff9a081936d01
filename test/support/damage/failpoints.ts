import type { Finished } from '../machine/program.ts';
import type { TestRoot } from '../machine/root.ts';

/**
 * Runs a command that is killed at a failpoint, as are the processes that it starts. Its code is -1 if it was killed, 0 if
 * it came by no such failpoint: a test counts N up until then.
 *
 * @param failpoint as `*:3`, the third one of any name; see src/base/failpoints.ts
 */
export const runKilledAt = (
  root: TestRoot,
  failpoint: string,
  command: readonly string[],
): Promise<Finished> => root.run(command, { env: { ...root.env, BYREF_FAILPOINT: failpoint } });

/**
 * How far it is from one failpoint at which a test kills a command to the next: in the suite every third one is tried, by
 * scripts/soak.sh each.
 */
export const KILL_STEP = process.env['BYREF_SOAK'] === undefined ? 3 : 1;
