/** Flags of mount(2) and umount2(2), and the words for the former in mount(8) and fstab(5). */
import { lookUp } from './look-up.ts';

export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_REMOUNT = 32;
const MS_NOATIME = 1024;
const MS_NODIRATIME = 2048;
const MS_RELATIME = 1 << 21;
const MS_STRICTATIME = 1 << 24;
/** Flags of umount2(2). */
export const MNT_FORCE = 1;
export const MNT_DETACH = 2;
export const UMOUNT_NOFOLLOW = 8;

/** Flags that exclude each other: the last one named counts. */
const MS_ATIME = MS_NOATIME | MS_RELATIME | MS_STRICTATIME;

/** The effect of a word on the flags: which it clears, and which of those it then sets. */
interface Word {
  readonly clears: number;
  readonly sets: number;
}

const on = (flag: number, clears = flag): Word => ({ clears, sets: flag });
const off = (flag: number): Word => ({ clears: flag, sets: 0 });

const WORDS: Readonly<Record<string, Word>> = {
  ro: on(MS_RDONLY),
  rw: off(MS_RDONLY),
  nosuid: on(MS_NOSUID),
  suid: off(MS_NOSUID),
  nodev: on(MS_NODEV),
  dev: off(MS_NODEV),
  noexec: on(MS_NOEXEC),
  exec: off(MS_NOEXEC),
  noatime: on(MS_NOATIME, MS_ATIME),
  relatime: on(MS_RELATIME, MS_ATIME),
  strictatime: on(MS_STRICTATIME, MS_ATIME),
  atime: off(MS_NOATIME),
  norelatime: off(MS_RELATIME),
  nostrictatime: off(MS_STRICTATIME),
  nodiratime: on(MS_NODIRATIME),
  diratime: off(MS_NODIRATIME),
};

/** Applies one word to flags; returns null if the word is not about flags. */
export function applyMountWord(flags: number, word: string): number | null {
  const found = lookUp(WORDS, word);
  return found === undefined ? null : (flags & ~found.clears) | found.sets;
}

/**
 * Returns the flags as the kernel understands them, for comparisons: without a word about access times,
 * relatime applies.
 */
export function effectiveFlags(flags: number): number {
  const relatime = (flags & MS_ATIME) === 0 ? MS_RELATIME : 0;
  return (flags | relatime) & ~MS_STRICTATIME;
}

/** Returns the flags of a mount from the options that the kernel shows: "rw,nosuid,relatime". */
export function flagsOfOptions(options: string): number {
  return options.split(',').reduce((flags, word) => applyMountWord(flags, word) ?? flags, 0);
}

/** Returns the words for the flags that are set, as mount(8) takes them. */
export const mountWords = (flags: number): string[] =>
  Object.entries(WORDS)
    .filter(([, { sets }]) => sets !== 0 && (flags & sets) !== 0)
    .map(([word]) => word);
