import { ByrefError } from '../../base/error.ts';
import { flagsOfOptions, MS_REMOUNT } from '../../base/mount-flags.ts';
import { native } from '../../native/binding.ts';
import type { MountOutcome } from './mount.ts';
import type { EnvState } from './state.ts';

/**
 * Changes the options of a mounted env, as `mount -o remount` does. For access times, its driver keeps to the options that it
 * was mounted with.
 * @param changed computes the new flags from the present ones
 * @throws ByrefError 'usage' if it is not mounted, 'busy' if it can't become read-only now
 */
export function remountEnv(
  { row, mount, served }: EnvState,
  changed: (flags: number) => number,
): MountOutcome {
  if (mount === null || served === null) {
    const message = `${row.name} is not mounted`;
    throw new ByrefError('usage', message, 'Mount it without the option remount.');
  }
  const { mountpoint, options } = mount;
  const flags = changed(flagsOfOptions(options));
  const result = native.mount('', mountpoint, '', MS_REMOUNT | flags, '');
  if (result < 0) {
    const message = `the options of ${mountpoint} can't be changed (errno ${-result})`;
    const hint = 'A file that is open for writing keeps it from becoming read-only.';
    throw new ByrefError('busy', message, hint);
  }
  return { ...served, mountpoint, already: true };
}
