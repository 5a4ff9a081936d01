import { existsSync, mkdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import { LET_GO } from '../../../src/manager/confinement/confined.ts';
import { type Finished, run, sh } from '../machine/program.ts';

const SUITE = 'bookworm';
const PACKAGES = 'gcc,libc6-dev,make,git,sqlite3,postgresql,rsync,acl,attr,ca-certificates';
const CACHE = path.join(process.env['XDG_CACHE_HOME'] ?? '/var/cache', 'byref');
const ARCHIVE = path.join(CACHE, `programs-${SUITE}-${process.arch}.tar`);

export const BUILD_ARCHIVE_MS = 600_000;

/** A Debian root file system with the programs that are tested, as a tar; built once, then kept. */
export async function debianArchive(): Promise<string> {
  await makeArchive(ARCHIVE, PACKAGES);
  return ARCHIVE;
}

async function makeArchive(archive: string, packages: string): Promise<void> {
  if (existsSync(archive)) return;
  mkdirSync(CACHE, { recursive: true });
  const part = `${archive}.${process.pid}`;
  // The machine's own sources are those that it can reach.
  const script = `mmdebstrap --quiet --variant=minbase --format=tar --include="$1" "$2" "$3" \
    $(grep -ls "\\b$2\\b" /etc/apt/sources.list /etc/apt/sources.list.d/*)`;
  const { code, stderr } = await sh(script, [packages, SUITE, part], { timeout: BUILD_ARCHIVE_MS });
  if (code !== 0) throw new Error(`mmdebstrap failed: ${stderr}`);
  renameSync(part, archive);
}

const SYSTEM_PACKAGES = 'systemd,systemd-sysv,dbus,nginx-light,procps';
const SYSTEM = path.join(CACHE, `system-${SUITE}-${process.arch}.tar`);

/** Debian with systemd as its init and a web server, as a tar; built once, then kept. */
export async function systemArchive(): Promise<string> {
  await makeArchive(SYSTEM, SYSTEM_PACKAGES);
  return SYSTEM;
}

const SITE = path.join(CACHE, `site-${SUITE}-${process.arch}.tar`);

/** The same with a database beside the web server, as a tar; built once, then kept. */
export async function siteArchive(): Promise<string> {
  await makeArchive(SITE, `${SYSTEM_PACKAGES},postgresql`);
  return SITE;
}

/** Which of the machine's own suites an archive is built from: the release alone, or with its security updates. */
export type Updates = 'without-updates' | 'with-updates';

const SERVER_PACKAGES = 'apache2,ca-certificates,curl';

/** Debian with a web server, as the release had it or as it is patched; built once a day, then kept. */
export async function serverArchive(updates: Updates): Promise<string> {
  const day = new Date().toISOString().slice(0, 10);
  const archive = path.join(CACHE, `server-${SUITE}-${updates}-${day}-${process.arch}.tar`);
  if (existsSync(archive)) return archive;
  mkdirSync(CACHE, { recursive: true });
  const part = `${archive}.${process.pid}`;
  const script = `
    rm -f "$4"/server-"$2"-"$5"-*
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(CREATED_BY)' | sort -u |
      awk -v suite="$2" -v updates="$5" '
        $4 != "Packages" || $3 != "main" { next }
        $2 == suite || (updates == "with-updates" && index($2, suite "-") == 1) { print "deb", $1, $2, $3 }' >"$3.list"
    mmdebstrap --quiet --variant=minbase --format=tar --include="$1" "$2" "$3" "$3.list"
    rm "$3.list"`;
  const args = [SERVER_PACKAGES, SUITE, part, CACHE, updates];
  const { code, stderr } = await sh(script, args, { timeout: BUILD_ARCHIVE_MS });
  if (code !== 0) throw new Error(`mmdebstrap failed: ${stderr}`);
  renameSync(part, archive);
  return archive;
}

/** What a program expects around it; all of it goes with the mount namespace. */
const ENTER = `
# Of other envs it would hold the mounts, so that they could not be closed meanwhile.
keep=$1
${LET_GO}
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount -t tmpfs tmpfs "$1/run"
cp -L /etc/resolv.conf "$1/run/resolv.conf"
[ -e "$1/etc/resolv.conf" ] || touch "$1/etc/resolv.conf"
mount --bind "$1/run/resolv.conf" "$1/etc/resolv.conf"
exec chroot "$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C \
  DEBIAN_FRONTEND=noninteractive bash --norc -euo pipefail -c "$2"
`;

/** The words that run a script as inEnv() does, in a network of its own besides. */
export const inEnvWords = (mountpoint: string, script: string): string[] => [
  ...['unshare', '--mount', '--pid', '--net', '--fork', '--kill-child', '--propagation', 'private'],
  ...['bash', '-euc', ENTER, 'enter', mountpoint, script],
];

/** Runs a bash script in an env, chroot'ed, as root; whatever it starts ends with it. */
export function inEnv(mountpoint: string, script: string, timeout = 120_000): Promise<Finished> {
  const isolate = ['--mount', '--pid', '--fork', '--kill-child', '--propagation', 'private'];
  const args = [...isolate, 'bash', '-euc', ENTER, 'enter', mountpoint, script];
  return run('unshare', args, { timeout });
}
