/**
 * Has the kernel ready for processes that are moved to other control groups. The first such move after a while waits for a grace
 * period of RCU (8 to 15 ms measured, a third of what runc takes for a start): the lock that keeps processes from being made
 * meanwhile is cheap for those who make them, and dear for who takes it (kernel/rcu/sync.c). Moves that follow soon wait for nothing.
 * So while an env is mounted for its start, this process is "moved" to the group that it is in: the period passes meanwhile.
 */

import { O_CLOEXEC, O_WRONLY } from '../../../base/mode.ts';
import { procText } from '../../../base/proc.ts';
import { AT_FDCWD, native } from '../../../native/binding.ts';
import { processesFile } from './cgroups.ts';

let wanted = 0;

/** Keeps the kernel ready until the returned function is called. Where it can't be done, moves are as slow as they are. */
export function keepReadyForMoves(): () => void {
  if (wanted++ === 0) start();
  let isOver = false;
  return () => {
    if (isOver) return;
    isOver = true;
    if (--wanted === 0) native.stopMoving();
  };
}

function start(): void {
  for (const line of procText('/proc/self/cgroup').split('\n')) {
    const [, controllers, group] = /^\d+:(?:name=)?([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || group === undefined) continue;
    const file = native.openAt(
      AT_FDCWD,
      processesFile(controllers, group),
      O_WRONLY | O_CLOEXEC,
      0,
    );
    if (file < 0) continue;
    native.startMoving(file);
    return;
  }
}
