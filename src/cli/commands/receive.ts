import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';
import { receiveEnv } from '../../services/receive-env.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { interruption } from '../interruption.ts';
import { printNotes } from '../notes.ts';
import { sessionOf } from '../session.ts';

/** Defines the command `byref receive`. */
export default function build(): Command {
  return defineWaiting(
    'receive',
    'Take an env from standard input: what byref move runs on the other machine, and speaks to.',
  ).action(async (options: object) => {
    const context = contextOf(options);
    if (process.stdin.isTTY) {
      const hint = 'Run byref move on the machine that has the env.';
      throw new ByrefError('usage', 'nobody sends an env: our input is a terminal', hint);
    }
    const { signal, release } = interruption();
    const note = (text: string): void => printNotes([text]);
    await receiveEnv(sessionOf(context), process.stdin, process.stdout, { signal, note }).finally(
      release,
    );
  });
}
