import type { Command } from 'commander';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { restoreSnapshot } from '../../services/restore-snapshot.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { interruption } from '../interruption.ts';
import { printNotes } from '../notes.ts';
import { printLines } from '../print.ts';
import { interruptible, withStore } from '../session.ts';
import { type StopWords, stopOptions, stopTimeout } from '../stop-options.ts';
import { printResult } from '../table.ts';

interface Options extends StopWords {
  readonly stop?: boolean;
}

/** Defines the command `byref snapshot restore`. */
export default function build(): Command {
  const command = defineWaiting(
    'snapshot restore <env> <snapshot>',
    'Take an env back to a snapshot: files, volumes, settings, and its templates at the versions that it saw. What came after is lost.',
  ).option('--stop', 'stop it, and unmount it, first; it stays stopped');
  return stopOptions(command).action(async (env: string, name: string, options: Options) => {
    const context = contextOf(options);
    const { patience } = context;
    const { signal, release } = interruption();
    const made = await withStore(interruptible(context, signal), 'write', (store) => {
      const note = (text: string): void => printNotes([text]);
      const stopMs = options.stop === true ? stopTimeout(options) : null;
      const row = needPeoplesEnv(store, env);
      return restoreSnapshot(store, row, name, { stopMs }, { patience, signal, note });
    }).finally(release);
    if (context.json) printResult('snapshot restore', made);
    else printLines(`${made.name}: taken back to ${name}`);
  });
}
