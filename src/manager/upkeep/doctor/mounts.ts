import { envMounts } from '../../../ipc/mount-table.ts';
import { endedMounts } from '../../envs/ended-mount.ts';
import { findHolder } from '../../envs/spawn.ts';
import { type Check, check } from './check.ts';

/** Checks that what is mounted of a root is served, and would go on if a driver were killed. */
export async function mountChecks(root: string): Promise<Check[]> {
  const mounts = [...envMounts(root).values()];
  if (mounts.length === 0) return [];
  const ended = (await endedMounts(root, mounts)).map(({ mountpoint }) => mountpoint);
  const served = mounts.length - ended.length;
  const cost = `what uses ${ended.join(', ')} gets errors: driver and holder were killed (byref mount mounts the env again)`;
  const found = `${served} of ${mounts.length} mounts served`;
  const checks = [check('mounts.served', ended.length === 0, found, cost)];
  if (served > 0) checks.push(await holderCheck(root));
  return checks;
}

async function holderCheck(root: string): Promise<Check> {
  const holder = await findHolder(root);
  holder?.close();
  const cost =
    'mounts end with their driver: the holder was killed (byref mount, of any env, starts another one)';
  return check(
    'mounts.holder',
    holder !== null,
    holder === null ? 'no holder' : 'it runs',
    cost,
    'reduced',
  );
}
