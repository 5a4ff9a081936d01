import { ByrefError } from '../base/error.ts';
import { lookUp } from '../base/look-up.ts';
import { applyMountWord, MS_NODEV, MS_NOSUID } from '../base/mount-flags.ts';

/** The meaning of the words of `-o WORD,WORD`. */
export interface MountWords {
  /** MS_* flags of mount(2); null if no word is about them. */
  readonly flags: number | null;
  /** Applies the words to other flags. */
  readonly changed: (flags: number) => number;
  /** The root, which an fstab line can't name in another way. */
  readonly root: string | null;
  readonly allowUsers: boolean;
  readonly passthrough: boolean;
  readonly trace: boolean;
  /** Change the options of an existing mount. */
  readonly remount: boolean;
}

/** Words of fstab(5) and systemd.mount(5) that are meant for whoever reads the line, not for a file system. */
const FOR_OTHERS: ReadonlySet<string> = new Set([
  ...['auto', 'noauto', 'nouser', 'nousers', 'nofail', '_netdev', 'async', 'silent', 'loud'],
  ...['nomand', 'noiversion', 'nolazytime'],
]);
const OWN: ReadonlySet<string> = new Set([
  ...['defaults', 'allow_users', 'allow_other', 'no_passthrough', 'trace', 'remount'],
]);
const ROOT = 'root=';
const FOR_OTHERS_PREFIX = /^(?:x-|X-|comment=)/;

/** Words that stand for several others (mount(8)). */
const SHORT_FOR: Readonly<Record<string, readonly string[]>> = {
  user: ['noexec', 'nosuid', 'nodev'],
  users: ['noexec', 'nosuid', 'nodev'],
  owner: ['nosuid', 'nodev'],
  group: ['nosuid', 'nodev'],
};

const HINT =
  'options are ro, rw, [no]suid, [no]dev, [no]exec, [no]atime, [no]diratime, relatime, strictatime, defaults, remount, ' +
  'root=DIR, allow_users, no_passthrough, trace; and what fstab(5) has for others, such as nofail';

/**
 * Reads the words of `-o`; of words that exclude each other the last one counts.
 * @param allowUsers true if another option said so
 * @throws ByrefError 'usage' for an unknown word
 */
export function parseMountWords(lists: readonly string[], allowUsers: boolean): MountWords {
  const words = lists.flatMap((list) => list.split(',')).filter((word) => word !== '');
  const said = new Set(words);
  // FUSE's own word, allow_other, means the same.
  const isOpen = allowUsers || said.has('allow_users') || said.has('allow_other');
  const standard = isOpen ? MS_NOSUID | MS_NODEV : 0;
  const plain = words.flatMap((each) => lookUp(SHORT_FOR, each) ?? [each]);
  const unknown = plain.find((word) => !isKnown(word));
  if (unknown !== undefined)
    throw new ByrefError('usage', `no such mount option: ${unknown}`, HINT);
  const changed = (flags: number): number => {
    const apply = (now: number, word: string): number =>
      word === 'defaults' ? standard : (applyMountWord(now, word) ?? now);
    return plain.reduce(apply, flags);
  };
  const isSaid = isOpen || plain.some((word) => applyMountWord(0, word) !== null);
  return {
    flags: isSaid ? changed(standard) : null,
    changed,
    root: words.findLast((word) => word.startsWith(ROOT))?.slice(ROOT.length) ?? null,
    allowUsers: isOpen,
    passthrough: !said.has('no_passthrough'),
    trace: said.has('trace'),
    remount: said.has('remount'),
  };
}

const isKnown = (word: string): boolean =>
  applyMountWord(0, word) !== null ||
  OWN.has(word) ||
  word.startsWith(ROOT) ||
  FOR_OTHERS.has(word) ||
  FOR_OTHERS_PREFIX.test(word);
