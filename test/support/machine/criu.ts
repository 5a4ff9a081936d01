import { existsSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, type TestContext } from 'vitest';

/** Where the set-up of the tests puts a CRIU that works, if the machine has none. */
const OWN = path.join(import.meta.dirname, '../../../.setup/criu/criu');

// Before roots are made, which take over our environment.
if (existsSync(OWN)) process.env['BYREF_CRIU'] = OWN;

/** Skips a test where there is none. */
export function useCriu({ skip }: Pick<TestContext, 'skip'>): void {
  if (!existsSync(OWN) && !existsSync('/usr/sbin/criu')) skip('CRIU 4.2 can’t be had here');
}

/** Does so for all tests of a file. */
export const needsCriu = (): void => beforeEach(useCriu);
