/**
 * Lets packages of an OS template read files of the machine while they are installed: hooks of mmdebstrap mount
 * them.
 */
import type { ReadOnlyBind } from '../../confinement/inside.ts';
import { workplaceFile } from './workplace.ts';

/** Options for mmdebstrap, before and after those of other hooks. */
export interface BindHooks {
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/**
 * The hook. $1 is what to do, $2 a file that records what was made, $3 the tree; SOURCE TARGET pairs follow.
 * The mounts are in mmdebstrap's own namespace. A target that a symlink leads out of the tree is refused: it
 * would be on the machine.
 */
const SCRIPT = `
set -eu
do=$1 made=$2 root=$(readlink -f "$3"); shift 3
above() {
  [ ! -e "$1" ] || return 0
  above "\${1%/*}"
  mkdir "$1"
  printf '%s\n' "$1" >>"$made"
}
while [ $# -gt 0 ]; do
  at=$(readlink -m "$root$2")
  case $at in
    "$root"/?*) ;;
    *) echo "$2 leads out of the tree" >&2; exit 1 ;;
  esac
  if [ "$do" = show ]; then
    if [ -d "$1" ]; then
      above "$at"
    elif [ ! -e "$at" ]; then
      above "\${at%/*}"
      : >"$at"
      printf '%s\n' "$at" >>"$made"
    fi
    mount --bind "$1" "$at"
    mount -o remount,bind,ro "$at"
  else
    umount "$at"
  fi
  shift 2
done
[ "$do" = hide ] && [ -e "$made" ] || exit 0
tac "$made" | while read -r each; do
  if [ -d "$each" ]; then rmdir "$each" 2>/dev/null || :; else [ -s "$each" ] || rm -f "$each"; fi
done
`;

/** Quotes a word for sh. */
export const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

/** Returns the options that mount `binds` in the tree. @param dir the workplace */
export function bindHooks(binds: readonly ReadOnlyBind[], dir: string): BindHooks {
  if (binds.length === 0) return { before: [], after: [] };
  const script = workplaceFile(dir, 'binds.sh', SCRIPT);
  const pairs = binds.flatMap(({ source, target }) => [source, target]).map(quoted);
  const hook = (what: string): string =>
    ['sh', quoted(script), what, quoted(`${dir}/made`), '"$1"', ...pairs].join(' ');
  // By then essential packages are unpacked, so a system's directories exist; no script has run yet.
  return {
    before: [`--extract-hook=${hook('show')}`],
    after: [`--customize-hook=${hook('hide')}`],
  };
}
