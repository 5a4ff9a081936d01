import { readFileSync } from 'node:fs';
import { type Check, check } from './check.ts';

const INOTIFY = '/proc/sys/fs/inotify/max_user_instances';
/** What an env with systemd and some services takes of them. Those of all envs count as root's, too. */
const INOTIFY_PER_ENV = 5;
/** For a hundred envs and more. */
const INOTIFY_WANTED = 1024;

/** Checks what bounds the number of envs that run at once. */
export function runningChecks(): Check[] {
  const instances = Number(textOf(INOTIFY));
  const cost =
    `about ${Math.floor(instances / INOTIFY_PER_ENV)} envs with systemd can run at once; ` +
    'in more of them services fail (sysctl -w fs.inotify.max_user_instances=8192)';
  return [
    check('run.inotify', instances >= INOTIFY_WANTED, `${instances} instances`, cost, 'reduced'),
  ];
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '0';
  }
}
