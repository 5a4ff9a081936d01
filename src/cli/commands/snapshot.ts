import type { Command } from 'commander';
import { formatSize } from '../../base/size.ts';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { takeSnapshot } from '../../services/take-snapshot.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { interruption } from '../interruption.ts';
import { printLines } from '../print.ts';
import { interruptible, withStore } from '../session.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref snapshot`. */
export default function build(): Command {
  return defineWaiting(
    'snapshot <env> [name]',
    'Keep an env as it is at this moment, running or not; byref snapshot restore takes it back. Without a name, the time is the name.',
  ).action(async (env: string, name: string | undefined, options: object) => {
    const context = contextOf(options);
    const { patience } = context;
    const { signal, release } = interruption();
    const taken = await withStore(interruptible(context, signal), 'write', (store) =>
      takeSnapshot(store, needPeoplesEnv(store, env), name ?? null, { patience, signal }),
    ).finally(release);
    if (context.json) printResult('snapshot', taken);
    else {
      const { snapshot, privateBytes, frozenMs } = taken;
      const still = frozenMs === null ? '' : `, which stood still for ${frozenMs} ms`;
      printLines(`${snapshot}: ${formatSize(privateBytes)} of its own, of ${env}${still}`);
    }
  });
}
