/**
 * Decides what of an installer's changes is noise. The default rules are those of builds, and what programs
 * leave behind that are run by hand; docs/reference/capturing.md describes them for users.
 */
import { matchesPath } from '../../../base/path-patterns.ts';
import { EMPTIED, LEFT_OUT } from '../build/rules.ts';

/** Lists of path patterns (src/base/path-patterns.ts). */
export interface Rules {
  /** Not in the template. */
  readonly leaveOut: readonly string[];
  /** In the template, but empty; if the base has the file, the base's shows. */
  readonly empty: readonly string[];
  /** In the template, whatever else matches. */
  readonly keep: readonly string[];
  /** Keep passwords that were set (passwords.ts). */
  readonly keepPasswords?: boolean;
}

/** The rules if no file gives others. */
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
    // Locks, and files that name a running process.
    ...['/etc/.pwd.lock', '/var/lib/dpkg/lock*', '/var/lib/dpkg/triggers/Lock', '*.pid'],
    // Editors' copies.
    ...['*~', '.*.swp', '.*.swo', '.#*'],
    // Written by services as they run.
    ...['/var/log/journal/*', '/var/lib/systemd/timers/*', '/var/lib/logrotate/status'],
  ],
  empty: [...EMPTIED],
  keep: [],
};

/** The possible decisions about a path. */
export type Verdict = 'keep' | 'empty' | 'leave-out';

/** The verdict on one path. */
export interface Ruling {
  readonly verdict: Verdict;
  /** The pattern that decided; '' if none did. */
  readonly rule: string;
}

const KEPT: Ruling = { verdict: 'keep', rule: '' };

/** Returns a function that judges paths: absolute, binary strings. */
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
