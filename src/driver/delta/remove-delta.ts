import { rmSync } from 'node:fs';
import path from 'node:path';
import { removeTableLock } from '../../native/table-lock.ts';
import { LINK_DIR, NEW_LINK_DIR } from './layout.ts';

/** Removes an env's directory, or anything else below `envs/`, and what a link table in it has elsewhere. No process may have it open. */
export function removeDelta(envDir: string): void {
  for (const table of [LINK_DIR, NEW_LINK_DIR]) removeTableLock(path.join(envDir, table));
  rmSync(envDir, { recursive: true, force: true });
}
