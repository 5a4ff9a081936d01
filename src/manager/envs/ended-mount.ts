import { execFile } from 'node:child_process';
import type { EnvMount } from '../../ipc/mount-table.ts';
import type { HeldDevice } from '../../ipc/protocol.ts';
import { findHolder } from './spawn.ts';

/** Longer than a connection that has ended takes to say so, and than one that is just taken over takes to answer. */
const ANSWER_MS = 3000;

/**
 * Returns those of mounts whose driver is gone that have ended: the holder was killed, too, so that the kernel has ended the connection, and
 * what uses the mount gets errors. What uses the others waits, until another driver goes on, or they are unmounted.
 */
export async function endedMounts(
  root: string,
  mounts: readonly EnvMount[],
): Promise<readonly EnvMount[]> {
  const held = new Set((await heldDevices(root)).map(({ env }) => env));
  const ended: EnvMount[] = [];
  for (const mount of mounts) if (!held.has(mount.env) && (await isOver(mount))) ended.push(mount);
  return ended;
}

/** Says whether endedMounts() has this mount. */
export const hasEnded = async (root: string, mount: EnvMount): Promise<boolean> =>
  (await endedMounts(root, [mount])).length > 0;

/** Somebody else may hold its descriptor. Then this waits for an answer, as a process that can be ended. */
function isOver({ mountpoint }: EnvMount): Promise<boolean> {
  return new Promise((resolve) => {
    const options = { timeout: ANSWER_MS, killSignal: 'SIGKILL', env: { LC_ALL: 'C' } } as const;
    execFile('/bin/stat', ['--file-system', mountpoint], options, (_error, _out, stderr) => {
      resolve(stderr.includes('not connected'));
    });
  });
}

/** Says in a sentence, without its end, what has become of a mount whose driver is gone, and what to do. */
export async function whyDead(root: string, name: string, mount: EnvMount): Promise<string> {
  return (await hasEnded(root, mount))
    ? `its driver and the holder were killed: what uses it gets errors, until byref mount ${name} mounts it again`
    : `its driver is gone: what uses it waits, until byref umount ${name} ends that`;
}

async function heldDevices(root: string): Promise<readonly HeldDevice[]> {
  const holder = await findHolder(root);
  if (holder === null) return [];
  try {
    return (await holder.call('status', null)).devices;
  } finally {
    holder.close();
  }
}
