import { LIMITS } from '../../../driver/fuse-native/limits.ts';
import { loadFuseNative } from '../../../driver/fuse-native/package.ts';
import { type Check, check } from './check.ts';

const LACKS = LIMITS.map(({ name }) => name).join(', ');

/** Checks whether the second transport is available, and what an env lacks that it serves. */
export function transportChecks(): Check[] {
  const cost = 'no mount --transport fuse-native (run scripts/setup.sh: it installs libfuse2)';
  const loads = canLoad();
  const found = loads ? `without ${LACKS}` : 'none';
  return [check('transport.fuse-native', loads, found, cost, 'reduced')];
}

function canLoad(): boolean {
  try {
    loadFuseNative();
    return true;
  } catch {
    return false;
  }
}
