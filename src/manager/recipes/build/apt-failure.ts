/** Turns messages of apt and dpkg into one sentence, and what to do. */
import { ByrefError } from '../../../base/error.ts';
import type { ExitName } from '../../../base/exit-codes.ts';

interface Failure {
  /** Matches their message in the C locale. The first group is what it is about. */
  readonly pattern: RegExp;
  readonly code: ExitName;
  readonly message: (about: string) => string;
  readonly hint: string;
}

/** The first one that matches is reported: an earlier cause explains later ones. */
const FAILURES: readonly Failure[] = [
  {
    pattern: /No space left on device|Disk quota exceeded|You don't have enough free space/i,
    code: 'noSpace',
    message: () => 'no space left on the device',
    hint: 'Free some space PLACE, then build again.',
  },
  {
    pattern:
      /(NO_PUBKEY \w+|EXPKEYSIG[^\n]*|BADSIG[^\n]*|REVKEYSIG[^\n]*|The repository '[^']*' is not signed|Clearsigned file isn't valid[^\n]*|invalid key[^\n]*)/i,
    code: 'untrusted',
    message: (about) => `the repository's signature does not verify: ${about}`,
    hint: 'Name the right key as keyring, or another repository. byref takes none that is not signed.',
  },
  {
    pattern: /Unable to locate package (\S+)/,
    code: 'badInput',
    message: (about) => `there is no package ${about} in the repository`,
    hint: 'Check the name under packages, and components and suite.',
  },
  {
    pattern:
      /Version '([^']+' for '[^']+)' was not found|Release '([^']+' for '[^']+)' was not found/,
    code: 'badInput',
    message: (about) => `there is no version '${about}' in the repository`,
    hint: 'Name a version that apt-cache policy shows, or none.',
  },
  {
    pattern: /Package '?(\S+?)'? has no installation candidate/,
    code: 'badInput',
    message: (about) => `the repository names ${about}, but has no such package`,
    hint: 'Check the name under packages, and components.',
  },
  {
    pattern:
      /The following packages will be REMOVED:\s*\n\s*([^\n]*)[\s\S]*Packages need to be removed but remove is disabled/,
    code: 'badInput',
    message: (about) => `it can't be beside what the base has: ${about}`,
    hint: 'Leave it out, or build the base without what it conflicts with.',
  },
  {
    pattern: /unmet dependencies[.:]*\s*\n((?: [^\n]*\n?)*)|held broken packages/,
    code: 'badInput',
    message: (about) => `packages do not fit together: ${dependencies(about)}`,
    hint: 'Leave one of them out, or name a repository that has what they depend on.',
  },
  {
    pattern: /E: Failed to fetch (\S+)|E: (The repository '[^']*' does not have a Release file)/,
    code: 'unreachable',
    message: (about) => `the repository can't be read: ${about}`,
    hint: 'Check the address, the suite and the network, then build again.',
  },
  {
    pattern:
      /(Could not connect to [^\n]*|Could not resolve [^\n]*|Connection (?:failed|timed out)[^\n]*|Temporary failure resolving [^\n]*)/,
    code: 'unreachable',
    message: (about) => `the repository can't be reached: ${about}`,
    hint: 'Check the address and the network, then build again.',
  },
  {
    pattern: /dpkg: error processing (?:package|archive) (\S+)/,
    code: 'badInput',
    message: (about) => `${about} could not be installed: its scripts failed`,
    hint: 'The lines above say why. Leave the package out, or take another version of it.',
  },
];

const LAST_LINES = 5;

/**
 * Returns the error for a failed apt or mmdebstrap.
 * @param said the end of what was printed
 * @param what "debian-12 could not be built"
 * @param place where it was done: "in /var/tmp"
 */
export function aptFailure(said: string, what: string, place: string): ByrefError {
  for (const { pattern, code, message, hint } of FAILURES) {
    const match = pattern.exec(said);
    if (match === null) continue;
    const groups: readonly (string | undefined)[] = match.slice(1);
    const about = groups.find((group) => group !== undefined) ?? match[0];
    const told = `${what}: ${message(about.trim())}`;
    return new ByrefError(code, told, hint.replace('PLACE', place));
  }
  const last = said
    .trim()
    .split(/[\r\n]+/)
    .slice(-LAST_LINES);
  return new ByrefError('error', [`${what}:`, ...last], 'The lines above are what the tools said.');
}

/** Joins lines such as " a : Depends: b but it is not installable". */
const dependencies = (lines: string): string =>
  lines
    .split('\n')
    .map((line) => line.trim().replaceAll(/\s+/g, ' '))
    .filter(Boolean)
    .join('; ');
