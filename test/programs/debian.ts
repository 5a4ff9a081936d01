import { existsSync, mkdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import { type Finished, run, sh } from '../support/program.ts';

const SUITE = 'bookworm';
const PACKAGES = 'gcc,libc6-dev,make,git,sqlite3,postgresql,rsync,acl,attr,ca-certificates';
const CACHE = path.join(process.env['XDG_CACHE_HOME'] ?? '/var/cache', 'byref');
const ARCHIVE = path.join(CACHE, `programs-${SUITE}-${process.arch}.tar`);

export const BUILD_ARCHIVE_MS = 600_000;

/** A Debian root file system with the programs that are tested, as a tar; built once, then kept. */
export async function debianArchive(): Promise<string> {
  if (existsSync(ARCHIVE)) return ARCHIVE;
  mkdirSync(CACHE, { recursive: true });
  const part = `${ARCHIVE}.${process.pid}`;
  // The machine's own sources are those that it can reach.
  const script = `mmdebstrap --quiet --variant=minbase --format=tar --include="$1" "$2" "$3" \
    $(grep -ls "\\b$2\\b" /etc/apt/sources.list /etc/apt/sources.list.d/*)`;
  const { code, stderr } = await sh(script, [PACKAGES, SUITE, part], { timeout: BUILD_ARCHIVE_MS });
  if (code !== 0) throw new Error(`mmdebstrap failed: ${stderr}`);
  renameSync(part, ARCHIVE);
  return ARCHIVE;
}

/** What a program expects around it; all of it goes with the mount namespace. */
const ENTER = `
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount -t tmpfs tmpfs "$1/run"
cp -L /etc/resolv.conf "$1/run/resolv.conf"
[ -e "$1/etc/resolv.conf" ] || touch "$1/etc/resolv.conf"
mount --bind "$1/run/resolv.conf" "$1/etc/resolv.conf"
exec chroot "$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C \
  DEBIAN_FRONTEND=noninteractive bash --norc -euo pipefail -c "$2"
`;

/** Runs a bash script in an env, chroot'ed, as root; whatever it starts ends with it. */
export function inEnv(mountpoint: string, script: string, timeout = 120_000): Promise<Finished> {
  const isolate = ['--mount', '--pid', '--fork', '--kill-child', '--propagation', 'private'];
  const args = [...isolate, 'bash', '-euc', ENTER, 'enter', mountpoint, script];
  return run('unshare', args, { timeout });
}
