/**
 * What of all that an installer wrote is noise. The default rules are those of builds, and what programs leave behind that
 * are run by hand; docs/CLI.md has them for its readers.
 */
import { matchesPath } from '../../../base/path-patterns.ts';
import { EMPTIED, LEFT_OUT } from '../build/rules.ts';

/** Path patterns: see src/base/path-patterns.ts. */
export interface Rules {
  /** Not in the template. */
  readonly leaveOut: readonly string[];
  /** There, and empty; but where the base has the file, that one shows. */
  readonly empty: readonly string[];
  /** In the template whatever else matches. */
  readonly keep: readonly string[];
  /** Also passwords that were set: see passwords.ts. */
  readonly keepPasswords?: boolean;
}

export const DEFAULT_RULES: Rules = {
  leaveOut: [
    ...LEFT_OUT,
    '/dev/*',
    // Each env has its own.
    '/etc/hosts',
    '/etc/machine-id',
    '/lost+found',
    // What was typed, and what was fetched.
    ...['/root/.*_history', '/home/*/.*_history', '/root/.lesshst', '/root/.wget-hsts'],
    ...['/root/.viminfo', '/root/.cache', '/home/*/.cache'],
    ...['/root/.npm/_cacache', '/root/.npm/_logs', '/root/.npm/_update-notifier-last-checked'],
    ...['/root/.cargo/registry', '/root/go/pkg/mod/cache', '/var/cache/apt/archives/*'],
    ...['/var/lib/apt/lists/*', '/var/cache/dnf/*', '/var/cache/yum/*', '/var/cache/apk/*'],
    // Locks, and what says which process is at it now.
    ...['/etc/.pwd.lock', '/var/lib/dpkg/lock*', '/var/lib/dpkg/triggers/Lock', '*.pid'],
    // Editors' copies.
    ...['*~', '.*.swp', '.*.swo', '.#*'],
    // Written by services as they run.
    ...['/var/log/journal/*', '/var/lib/systemd/timers/*', '/var/lib/logrotate/status'],
  ],
  empty: [...EMPTIED],
  keep: [],
};

export type Verdict = 'keep' | 'empty' | 'leave-out';

export interface Ruling {
  readonly verdict: Verdict;
  /** The pattern that decided; '' if none did. */
  readonly rule: string;
}

const KEPT: Ruling = { verdict: 'keep', rule: '' };

/** What the rules say of a path: absolute, a binary string. */
export function rulingBy({ leaveOut, empty, keep }: Rules): (path: string) => Ruling {
  const isKept = matchesPath(keep);
  const isAny = matchesPath([...leaveOut, ...empty]);
  const each = [
    ...leaveOut.map((rule) => one(rule, 'leave-out')),
    ...empty.map((rule) => one(rule, 'empty')),
  ];
  return (path) => {
    if (!isAny(path) || isKept(path)) return KEPT;
    return each.find(({ test }) => test(path))?.ruling ?? KEPT;
  };
}

const one = (rule: string, verdict: Verdict) => ({
  test: matchesPath([rule]),
  ruling: { verdict, rule },
});
