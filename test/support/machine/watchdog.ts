import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** A test that has shown no sign of life for this long is taken to hang in a mount. */
const PATIENCE_SECONDS = 600;

export interface Watchdog {
  /** Shows that the test goes on. */
  alive(): void;
  stop(): Promise<void>;
}

/**
 * A process that, should the test hang, ends every FUSE connection mounted below a directory: what
 * waits there gets an error, and the test can fail. It looks at the kernel's tables only. Also acts
 * when the test's process dies.
 */
export function startWatchdog(directory: string, seconds = PATIENCE_SECONDS): Watchdog {
  const child = spawn('bash', ['-c', SCRIPT, 'watchdog', directory, String(seconds)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    // Not in the test's process group: a ^C must not end it before its work.
    detached: true,
  });
  child.unref();
  // It may have ended the test's mounts, and itself.
  child.stdin.on('error', () => undefined);
  return { alive: () => child.stdin.write('alive\n'), stop: () => stop(child) };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exited = once(child, 'exit');
  child.stdin?.end('done\n');
  await exited;
}

/** Reads "done", or sees the end of the pipe (the test died), or hears nothing for too long. */
const SCRIPT = `
while read -r -t "$2" word; do [ "$word" = done ] && exit; done
mountpoint -q /sys/fs/fuse/connections || mount -t fusectl none /sys/fs/fuse/connections
awk -v below="$1/" 'index($5, below) == 1 && / fuse/ { split($3, d, ":"); print d[2], $5 }' \\
  /proc/self/mountinfo | while read -r connection mountpoint; do
  echo 1 > "/sys/fs/fuse/connections/$connection/abort"
  umount -l "$mountpoint"
done
`;
