import { accessSync, constants, existsSync } from 'node:fs';
import path from 'node:path';
import { type Check, check } from './check.ts';

interface Tool {
  /** Any one of these is enough. */
  readonly programs: readonly string[];
  /** What does not work without it, and how to install it. */
  readonly cost: string;
}

/** Programs that byref starts on this machine, directly or through others, and what does not work without each. */
const TOOLS: readonly Tool[] = [
  { programs: ['tar'], cost: 'no apps are built or captured (apt-get install tar)' },
  { programs: ['gzip'], cost: 'no import of .tar.gz (apt-get install gzip)' },
  { programs: ['bzip2'], cost: 'no import of .tar.bz2 (apt-get install bzip2)' },
  { programs: ['xz'], cost: 'no import of .tar.xz (apt-get install xz-utils)' },
  { programs: ['zstd'], cost: 'no import of .tar.zst (apt-get install zstd)' },
  { programs: ['mmdebstrap'], cost: 'no OS templates are built (apt-get install mmdebstrap)' },
  {
    programs: ['apt-get'],
    cost: 'no OS templates are built, and patches do not check what envs’ own packages need (apt-get install apt)',
  },
  {
    programs: ['dpkg'],
    cost: 'a file that a package Replaces stays with the package of an env’s own that had it (apt-get install dpkg)',
  },
  {
    programs: ['gpg'],
    cost: 'no OS template is built from a repository whose key mmdebstrap has to find (apt-get install gpg)',
  },
  {
    programs: ['gpgv', 'sqv'],
    cost: 'no signature of a repository can be checked, so none is used (apt-get install gpgv)',
  },
  {
    programs: ['setpriv'],
    cost: 'nothing is built or captured, and apps are not composed (apt-get install util-linux)',
  },
  {
    programs: ['unshare'],
    cost: 'nothing is built or captured, and apps are not composed (apt-get install util-linux)',
  },
  {
    programs: ['diff'],
    cost: 'template diff --content shows no texts (apt-get install diffutils)',
  },
  {
    programs: ['iptables'],
    cost: 'no env has an address: they start with network=none or host (apt-get install iptables)',
  },
  { programs: ['mkfs.ext4'], cost: 'no volume has a size (apt-get install e2fsprogs)' },
  {
    programs: ['tc'],
    cost: 'the network of an env can not be limited (apt-get install iproute2)',
  },
  {
    programs: ['dnsmasq'],
    cost: 'envs do not find each other by name (apt-get install dnsmasq-base)',
  },
  { programs: ['runc'], cost: 'no env can be started (apt-get install runc)' },
  {
    programs: ['catatonit'],
    cost: 'only envs that systemd is in can be started (apt-get install catatonit)',
  },
  { programs: ['diff3'], cost: 'patch --merge merges no files (apt-get install diffutils)' },
];

/** A file of another package that byref uses, at any one of these places. */
interface Data {
  readonly name: string;
  readonly places: readonly string[];
  readonly cost: string;
}

const DATA: readonly Data[] = [
  {
    name: 'seccomp',
    places: ['/usr/share/containers/seccomp.json'],
    cost: 'only privileged envs can be started (apt-get install golang-github-containers-common)',
  },
  {
    name: 'cni',
    places: ['/usr/lib/cni/bridge', '/opt/cni/bin/bridge'],
    cost: 'no env has an address: they start with network=none or host (apt-get install containernetworking-plugins)',
  },
];

/** Checks which of the programs, and files of others, are installed. */
export const toolChecks = (): Check[] => [
  ...TOOLS.map(({ programs, cost }) => {
    const found = programs.map(which).find((file) => file !== null) ?? null;
    return check(`tool.${programs[0]}`, found !== null, found ?? 'none', cost, 'reduced');
  }),
  ...DATA.map(({ name, places, cost }) => {
    const found = places.find((file) => existsSync(file)) ?? null;
    return check(`tool.${name}`, found !== null, found ?? 'none', cost, 'reduced');
  }),
];

/** Returns the first executable of that name on PATH, /usr/sbin or /sbin. */
export function which(name: string): string | null {
  const directories = (process.env['PATH'] ?? '').split(path.delimiter);
  for (const directory of [...directories, '/usr/sbin', '/sbin']) {
    const candidate = path.join(directory, name);
    if (isExecutable(candidate)) return candidate;
  }
  return null;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
