/** Runs programs in a root file system as in a container: with their own processes, /proc, /dev, /run and /tmp; no services. */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import { replaceInRoot, writeInRoot } from '../../base/in-root.ts';
import {
  BEGUN_FD,
  type ConfinedParts,
  type ConfinedPlace,
  type Finished,
  runConfined,
  runOnTerminal,
} from './confined.ts';
import { INSIDE_PATH } from './run-inside.ts';

/**
 * A script for sh: mounts what programs expect, in the namespace that ends with them. $1 is the root; SOURCE TARGET pairs
 * follow, which are to be seen read-only, up to an empty word; the rest is the command to run. /dev has only harmless
 * devices; the resolver's file is there only if there is a network to use it on; a directory of the machine is visible also
 * below the new /tmp and /run.
 */
const ENTER = `
set -e
root=$1; shift
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys" 2>/dev/null || :
for dir in run tmp; do [ -d "$root/$dir" ] && mount -t tmpfs -o mode=1777 tmpfs "$root/$dir"; done
chmod 755 "$root/run"
mkdir -m 1777 "$root/run/lock"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
chmod 1777 "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts" || :
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for fd in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/\${fd%:*}" "$root/dev/\${fd#*:}"; done
for device in null zero full random urandom tty; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
if [ -n "$BYREF_RESOLV" ]; then
  target=$(chroot "$root" readlink -m "$BYREF_RESOLV")
  mkdir -p "$root\${target%/*}"
  [ -e "$root$target" ] || : >"$root$target"
  mount --bind "$BYREF_RESOLV" "$root$target"
fi
IFS='
'
for dir in $BYREF_BINDS; do
  mkdir -p "$root$dir"
  mount --bind "$dir" "$root$dir"
done
while [ -n "$1" ]; do
  target=$root$2
  if [ ! -e "$target" ]; then
    if [ -d "$1" ]; then mkdir -p "$target"; else mkdir -p "\${target%/*}"; : >"$target"; fi
  fi
  mount --bind "$1" "$target"
  mount -o remount,bind,ro "$target"
  shift 2
done
shift
unset BYREF_RESOLV BYREF_BINDS IFS
echo >&${BEGUN_FD}
exec ${BEGUN_FD}>&-
exec chroot "$root" "$@"
`;

/** The machine's own resolver file, which is visible at that path inside too, following any symlink there. */
const RESOLVER = '/etc/resolv.conf';

/** A file or directory of the machine that is visible inside, and can't be changed there. */
export interface ReadOnlyBind {
  readonly source: string;
  /** An absolute path without a symlink on the way. */
  readonly target: string;
}

interface Inside {
  /** Variables beside those that are always set. */
  readonly env?: Readonly<Record<string, string>>;
  /** Directories of the machine that are visible at the same path; see prepared(). */
  readonly binds?: readonly string[];
  readonly readOnly?: readonly ReadOnlyBind[];
}

/** Options of runInside(). */
export interface InsideOptions extends Omit<ConfinedParts, 'env' | 'cwd' | 'keep'>, Inside {}
/** Options of runInsideOnTerminal(). */
export interface TerminalOptions extends Omit<ConfinedPlace, 'env' | 'cwd' | 'keep'>, Inside {}

/**
 * Runs a program in a root.
 * @param root of a file system in which the directories to mount on exist
 * @throws ByrefError 'error' if it was not begun, since its surroundings could not be made
 */
export async function runInside(
  root: string,
  words: readonly string[],
  options: InsideOptions,
): Promise<Finished> {
  const seen = { begun: false };
  const begun = (): void => {
    seen.begun = true;
  };
  const place = { ...options, ...placeOf(root, options), begun };
  const finished = await runConfined(wordsInside(root, words, options), place);
  if (!seen.begun && !options.signal.aborted) throw notBegun(finished.code, finished.said);
  return finished;
}

/** Does the same on our own standard input and error: see runOnTerminal. @throws as runInside() */
export async function runInsideOnTerminal(
  root: string,
  words: readonly string[],
  options: TerminalOptions,
  stdout: 1 | 2,
): Promise<number | null> {
  const seen = { begun: false };
  const begun = (): void => {
    seen.begun = true;
  };
  const place = { ...options, ...placeOf(root, options), begun };
  const code = await runOnTerminal(wordsInside(root, words, options), place, stdout);
  if (!seen.begun && !options.signal.aborted) throw notBegun(code, '');
  return code;
}

/** @param said what was printed, if it was not on our own output */
function notBegun(code: number | null, said: string): ByrefError {
  const how = code === null ? 'was killed' : `ended with status ${code}`;
  const why = said.trim() === '' ? '' : `: ${said.trim().split('\n').at(-1)}`;
  if (/no space left/i.test(why)) {
    const message = `no space left on the device: the command was not run${why}`;
    return new ByrefError('noSpace', message, 'Free some space, then run this again.');
  }
  return new ByrefError(
    'error',
    `the command was not run: the script that makes its /proc, /dev and /tmp ${how}${why}`,
    'See that the template has these directories, and what byref doctor says of mounts.',
  );
}

const wordsInside = (root: string, words: readonly string[], { readOnly = [] }: Inside) => [
  ...['sh', '-c', ENTER, 'sh', root],
  ...readOnly.flatMap(({ source, target }) => [source, target]),
  ...['', ...words],
];

const placeOf = (root: string, { env = {}, binds = [], offline }: TerminalOptions) => ({
  keep: root,
  cwd: '/',
  env: {
    PATH: INSIDE_PATH,
    HOME: '/root',
    LC_ALL: 'C.UTF-8',
    ...env,
    BYREF_RESOLV: offline !== true && existsSync(RESOLVER) ? RESOLVER : '',
    BYREF_BINDS: binds.join('\n'),
  },
});

const POLICY = 'usr/sbin/policy-rc.d';
/** The policy's answer to any attempt to start a service: not allowed (invoke-rc.d(8)). */
const REFUSE = '#!/bin/sh\nexit 101\n';

/**
 * Makes a root ready for runInside, does the work, and takes the changes back. Packages do not start services in it, and the
 * directories exist on which others are to be mounted.
 */
export async function prepared<T>(
  root: string,
  binds: readonly string[],
  work: () => Promise<T>,
): Promise<T> {
  const policy = path.join(root, POLICY);
  const refuse = !existsSync(policy) && existsSync(path.dirname(policy));
  if (refuse) writeInRoot(root, `/${POLICY}`, REFUSE, 0o755);
  // The topmost directory that did not exist: all below it goes with it.
  const made = binds.flatMap((dir) => mkdirSync(path.join(root, dir), { recursive: true }) ?? []);
  try {
    return await work();
  } finally {
    if (refuse) replaceInRoot(root, `/${POLICY}`);
    for (const dir of made) rmSync(dir, { recursive: true, force: true });
  }
}
