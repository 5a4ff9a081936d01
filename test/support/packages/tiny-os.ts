import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import path from 'node:path';
import { appPackages } from '../../../fixtures/apt/packages.ts';
import { output } from '../machine/program.ts';
import { buildDeb, type DebDescription, nativeArchitecture } from './deb.ts';
import { copies, installed, librariesOf, type MachineFiles, programPath } from './machine-files.ts';
import { tinyBase } from './tiny-base.ts';

/**
 * A tiny but real Debian system, in packages made of this machine's own programs: shells and the usual
 * tools, dpkg, apt with signatures, useradd. Its package tiny-base depends on all the others:
 *
 *     await repo.addDebs(...(await tinyDebs()));
 *     // mmdebstrap --variant=custom --include=tiny-base stable OUT.tar SOURCE-LINE
 *
 * There is no perl (so neither debconf nor adduser), no PAM, no systemd.
 */

const VERSION = '1.0';

const TOOLS = words(`bash dash cmp diff find grep gzip hostname mawk run-parts sed tar xargs
  [ base64 basename cat chgrp chmod chown chroot comm cp cut date dd df dirname du echo env expr false head
  id install link ln ls md5sum mkdir mkfifo mknod mktemp mv nproc od printenv printf pwd readlink
  realpath rm rmdir seq sha256sum sleep sort stat stty sync tail tee test timeout touch tr true tty
  uname uniq unlink wc whoami yes`);
const ACCOUNT_TOOLS = words('groupadd groupdel groupmod nologin useradd userdel usermod');
/** What apt checks signatures with: one of them is there. */
const VERIFIERS = ['gpgv', 'sqv'];

/** What people read, and what other programs than dpkg and apt would run. */
const NOT_NEEDED =
  /^\/usr\/share\/(bash-completion|bug|doc|lintian|locale|man|polkit)|^\/etc\/(cron|kernel|logrotate)|systemd|\/gconv/;

const LOGIN_DEFS = `MAIL_DIR /var/mail
UMASK 022
UID_MIN 1000
UID_MAX 60000
SYS_UID_MIN 100
SYS_UID_MAX 999
GID_MIN 1000
GID_MAX 60000
SYS_GID_MIN 100
SYS_GID_MAX 999
USERGROUPS_ENAB yes
ENCRYPT_METHOD SHA512
`;

/** The packages by name, to be changed and published as a later version. Takes a second or two. */
export async function tinyPackages(): Promise<Record<string, DebDescription>> {
  const arch = await nativeArchitecture();
  const libc: MachineFiles = {
    ...(await installed(`libc6:${arch}`, NOT_NEEDED)),
    ...copies(['ldconfig', 'getent'].map(programPath)),
    '/etc/ld.so.conf': 'include /etc/ld.so.conf.d/*.conf\n',
  };
  const programs: Record<string, MachineFiles> = {
    'tiny-tools': {
      ...copies(TOOLS.map(programPath)),
      '/usr/bin/sh': { symlink: 'dash' },
      '/usr/bin/awk': { symlink: 'mawk' },
    },
    'tiny-dpkg': await installed('dpkg', NOT_NEEDED),
    'tiny-apt': { ...(await installed('apt', NOT_NEEDED)), ...copies(verifiers()) },
    'tiny-accounts': {
      ...copies(ACCOUNT_TOOLS.map(programPath)),
      '/etc/login.defs': LOGIN_DEFS,
    },
  };
  const packages = [
    tiny('tiny-libc', [], libc),
    tiny('tiny-libraries', ['tiny-libc'], await missingLibraries(libc, programs)),
    ...Object.entries(programs).map(([name, files]) => tiny(name, ['tiny-libraries'], files)),
  ];
  const all = [
    ...packages,
    tinyBase(
      VERSION,
      packages.map(({ name }) => name),
    ),
  ];
  return Object.fromEntries(all.map((deb) => [deb.name, deb]));
}

/**
 * The packages, built: paths of .deb files. They are kept, since building takes seconds, until this
 * machine's packages or the descriptions change.
 */
export async function tinyDebs(): Promise<string[]> {
  return debsIn(await keptDirectory());
}

/** The packages of fixtures/apt/packages.ts, built and kept like those of the system. */
export async function appDebs(): Promise<string[]> {
  return debsIn(path.join(await keptDirectory(), APPS));
}

const debsIn = (directory: string): string[] =>
  readdirSync(directory)
    .filter((file) => file.endsWith('.deb'))
    .map((file) => path.join(directory, file));

/**
 * An archive that is made of the packages, kept with them. Returns its path.
 * @param name its name among those that are kept: all that it depends on besides the packages is to be in it
 * @param make writes it, if there is none yet
 */
export async function keptArchive(
  name: string,
  make: (file: string) => Promise<void>,
): Promise<string> {
  const directory = await keptDirectory();
  const kept = path.join(directory, name);
  if (existsSync(kept)) return used(kept);
  // Several workers may make one at once; each is whole when it gets the name.
  const part = mkdtempSync(path.join(CACHE, 'part-'));
  try {
    const made = path.join(part, name);
    await make(made);
    renameSync(made, kept);
    removeUnused(directory, ARCHIVE);
    return kept;
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
}

/** Returns a directory with the packages in it. */
async function keptDirectory(): Promise<string> {
  const directory = path.join(CACHE, `${PREFIX}${await machineState()}`);
  if (!existsSync(directory)) await buildAll(directory);
  return used(directory);
}

/** Notes that something kept is in use. */
function used(file: string): string {
  const now = new Date();
  utimesSync(file, now, now);
  return file;
}

const CACHE = path.join(process.env['XDG_CACHE_HOME'] ?? '/var/cache', 'byref');
const PREFIX = 'tiny-os-';
/** Beside the system's packages. */
const APPS = 'apps';
const DIRECTORY = new RegExp(`^${PREFIX}`);
const ARCHIVE = /[.]tar$/;
/** Another tree, or a run at the same time, may still use what was used lately. */
const UNUSED_MS = 24 * 3600 * 1000;
/** What makes the packages. */
const SOURCES = [
  ...['deb.ts', 'machine-files.ts', 'tiny-base.ts', 'tiny-os.ts', 'tiny-systems.ts'],
  '../../../fixtures/apt/packages.ts',
];

async function buildAll(directory: string): Promise<void> {
  mkdirSync(CACHE, { recursive: true });
  const part = mkdtempSync(path.join(CACHE, 'part-'));
  try {
    for (const deb of Object.values(await tinyPackages())) await buildDeb(deb, part);
    mkdirSync(path.join(part, APPS));
    for (const deb of appPackages) await buildDeb(deb, path.join(part, APPS));
    chmodSync(part, 0o755);
    renameSync(part, directory);
  } catch (error) {
    rmSync(part, { recursive: true, force: true });
    // Unless another process was faster, with the same packages.
    if (!existsSync(directory)) throw error;
  }
  removeUnused(CACHE, DIRECTORY);
}

/** Removes what is kept in a directory and was not used for long. */
function removeUnused(directory: string, names: RegExp): void {
  for (const name of readdirSync(directory).filter((each) => names.test(each))) {
    const file = path.join(directory, name);
    const unused = Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0);
    if (unused > UNUSED_MS) rmSync(file, { recursive: true, force: true });
  }
}

/** A hash of all that the packages are made from. */
async function machineState(): Promise<string> {
  const hash = createHash('sha256');
  hash.update(await output('dpkg-query', ['--show']));
  for (const source of SOURCES) hash.update(readFileSync(path.join(import.meta.dirname, source)));
  return hash.digest('hex').slice(0, 16);
}

function tiny(name: string, depends: readonly string[], files: MachineFiles): DebDescription {
  const isFile = (path: string): boolean => {
    const file = files[path]!;
    return typeof file === 'string' || 'copy' in file;
  };
  return {
    name,
    version: VERSION,
    essential: true,
    priority: 'required',
    depends,
    files,
    conffiles: Object.keys(files).filter((path) => path.startsWith('/etc/') && isFile(path)),
    ...(name === 'tiny-libraries' && { scripts: { postinst: 'ldconfig' } }),
  };
}

async function missingLibraries(
  libc: MachineFiles,
  programs: Record<string, MachineFiles>,
): Promise<MachineFiles> {
  const present: MachineFiles = Object.assign({}, libc, ...Object.values(programs));
  const needed = copies(await librariesOf(present));
  return Object.fromEntries(Object.entries(needed).filter(([name]) => !(name in present)));
}

function verifiers(): string[] {
  return VERIFIERS.map((name) => `/usr/bin/${name}`).filter((file) => existsSync(file));
}

function words(text: string): string[] {
  return text.split(/\s+/);
}
