import path from 'node:path';
import { checkout } from '../base/program-files.ts';
import { DEFAULT_ROOT } from './root.ts';

/** What a unit is to do each night. */
export interface NightlyBackup {
  readonly root: string;
  /** Absolute. */
  readonly directory: string;
  /** The words of the command behind the directory. */
  readonly words: readonly string[];
}

/** Returns a unit for systemd that backs up all envs once. */
export function backupService({ root, directory, words }: NightlyBackup): string {
  const command = [
    path.join(checkout(), 'bin/byref'),
    ...['backup', '--all', directory, ...words],
    ...(root === DEFAULT_ROOT ? [] : ['--root', root]),
  ];
  return `[Unit]
Description=byref: backups of all envs
Documentation=file://${path.join(checkout(), 'docs/guide/backup-and-moving.md')}
RequiresMountsFor=${[root, directory].map(quoted).join(' ')}

[Service]
Type=oneshot
ExecStart=${command.map(quoted).join(' ')}
Nice=10
IOSchedulingClass=best-effort
IOSchedulingPriority=7
`;
}

/** Returns a timer for systemd that starts the unit of its name each night, or at the next start of the machine. */
export const backupTimer = (): string => `[Unit]
Description=byref: backups of all envs, each night

[Timer]
OnCalendar=*-*-* 02:30:00
RandomizedDelaySec=15min
Persistent=true

[Install]
WantedBy=timers.target
`;

/** Writes a word as systemd reads it (systemd.service(5), systemd.unit(5)). */
function quoted(word: string): string {
  const text = word.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w@%+=:,./$-]+$/.test(text)
    ? text
    : `"${text.replaceAll(/["\\]/g, (each) => `\\${each}`)}"`;
}
