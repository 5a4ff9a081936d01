import { existsSync } from 'node:fs';
import path from 'node:path';
import { beforeEach } from 'vitest';

/** Where the set-up of the tests puts a CRIU that works, if the machine has none. */
const OWN = path.join(import.meta.dirname, '../../../.setup/criu/criu');

/** Has the tests of a file use that, and skips them where there is none. */
export function needsCriu(): void {
  beforeEach(({ skip }) => {
    if (existsSync(OWN)) process.env['BYREF_CRIU'] = OWN;
    else if (!existsSync('/usr/sbin/criu')) skip('CRIU 4.2 can’t be had here');
  });
}
