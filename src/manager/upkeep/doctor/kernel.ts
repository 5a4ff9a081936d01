import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { type Check, check, required } from './check.ts';
import { FUSE_BIT, type FuseOffer } from './fuse-probe.ts';

/** Minor versions of the FUSE protocol that brought what we use. */
const MINOR_MIN = 31; // Linux 5.4: what a mount needs at least
const MINOR_STATX = 39; // Linux 6.6

const CAP_SYS_ADMIN = 21;

/** Checks the kernel, the privileges of this process, and what the kernel's FUSE offers. */
export async function kernelChecks(): Promise<Check[]> {
  const checks = [
    required(check('kernel', process.platform === 'linux', release(), 'byref needs Linux')),
    required(privileges()),
    required(device()),
  ];
  if (checks.some(({ status }) => status === 'missing')) return checks;
  return [...checks, ...(await fuseChecks())];
}

function privileges(): Check {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  const capable = ((BigInt(`0x${mask ?? '0'}`) >> BigInt(CAP_SYS_ADMIN)) & 1n) === 1n;
  const found = `uid ${process.getuid?.() ?? -1}, CAP_SYS_ADMIN ${capable ? 'yes' : 'no'}`;
  return check('privileges', capable, found, 'nothing can be mounted: run byref as root');
}

function device(): Check {
  const present = existsSync('/dev/fuse');
  const cost = 'nothing can be mounted: load the module (modprobe fuse) or give the device';
  return check('fuse.device', present, present ? '/dev/fuse' : 'none', cost);
}

async function fuseChecks(): Promise<Check[]> {
  try {
    const { probeFuse } = await import('./fuse-probe.ts');
    return features(probeFuse());
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    return [required(check('fuse.mount', false, found, 'nothing can be mounted here'))];
  }
}

function features(offer: FuseOffer): Check[] {
  const { major, minor } = offer;
  const bit = (name: string, at: number, since: string, cost: string): Check => {
    const present = offer.has(at);
    return check(name, present, present ? 'yes' : `no (since Linux ${since})`, cost, 'reduced');
  };
  const at = (name: string, least: number, since: string, cost: string): Check => {
    const present = minor >= least;
    return check(name, present, present ? 'yes' : `no (since Linux ${since})`, cost, 'reduced');
  };
  return [
    required(
      check(
        'fuse.protocol',
        major === 7 && minor >= MINOR_MIN,
        `${major}.${minor}`,
        `the kernel must offer 7.${MINOR_MIN} or later (Linux 5.4)`,
      ),
    ),
    bit(
      'fuse.passthrough',
      FUSE_BIT.passthrough,
      '6.9',
      'reads and writes go through the driver: slower, and more memory',
    ),
    bit('fuse.resend', FUSE_BIT.resend, '6.9', 'envs do not survive the death of their driver'),
    bit(
      'fuse.idmap',
      FUSE_BIT.allowIdmap,
      '6.12',
      'root in an env can not be mapped to nobody on the host',
    ),
    at('fuse.statx', MINOR_STATX, '6.6', 'programs in an env do not see birth times'),
    bit(
      'fuse.killpriv',
      FUSE_BIT.handleKillprivV2,
      '5.11',
      'each write asks for file capabilities first: slower writes',
    ),
    bit('fuse.acl', FUSE_BIT.posixAcl, '4.9', 'POSIX ACLs do not work in an env'),
  ];
}
