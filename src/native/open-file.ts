import { EMFILE } from '../base/errno.ts';
import { type Keeper, keptDescriptors } from '../base/kept-descriptors.ts';
import { native, type PathLike } from './binding.ts';

/**
 * Opens a file as openat(2) does. If this process may have no more files open, those that are kept open only to be faster are
 * closed for it. Returns a descriptor, or -errno.
 * @param keeper whose `dirfd` is: its descriptors stay open
 */
export const openFile = (
  dirfd: number,
  path: PathLike,
  flags: number,
  mode: number,
  keeper: Keeper | null = null,
): number => withDescriptors(() => native.openAt(dirfd, path, flags, mode), keeper);

/** Makes a call that gives a descriptor or -errno, and makes it again as long as -EMFILE can be helped. */
export function withDescriptors(call: () => number, keeper: Keeper | null): number {
  for (;;) {
    const result = call();
    if (result !== -EMFILE || !keptDescriptors.giveBack(keeper)) return result;
  }
}
