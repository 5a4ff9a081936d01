import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';
import { formatSize } from '../../base/size.ts';
import { receiveEnv } from '../../services/receive-env.ts';
import { type IncomingMove, receivedMoves, removeReceived } from '../../services/received-moves.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { interruption } from '../interruption.ts';
import { printNotes } from '../notes.ts';
import { output } from '../output.ts';
import { printLines } from '../print.ts';
import { sessionOf } from '../session.ts';
import { type Column, printResult, printTable } from '../table.ts';

const size = (bytes: number): string => (output().stdout.isTTY ? formatSize(bytes) : String(bytes));

const COLUMNS: readonly Column<IncomingMove>[] = [
  { field: 'move', standard: true, text: ({ move }) => move },
  { field: 'env', standard: true, text: ({ env }) => env },
  { field: 'from', standard: true, text: ({ from }) => from },
  { field: 'bytes', standard: true, right: true, text: ({ bytes }) => size(bytes) },
  { field: 'state', standard: true, text: ({ active }) => (active ? 'coming' : 'waiting') },
  { field: 'until', standard: true, text: (row) => new Date(row.expiresMs).toISOString() },
];

interface Options {
  readonly list?: boolean;
  readonly remove?: string;
}

/** Defines the command `byref receive`. */
export default function build(): Command {
  return defineWaiting(
    'receive',
    'Take an env from standard input: what byref move runs on the other machine, and speaks to.',
  )
    .option('--list', 'list what came of moves that were interrupted, and waits for --resume there')
    .option('--remove <move>', 'remove what came of a move')
    .action(async (options: Options) => {
      const context = contextOf(options);
      const { list = false, remove } = options;
      if (list) {
        const moves = receivedMoves(context.root);
        if (context.json) printResult('receive --list', moves);
        else printTable(moves, COLUMNS, {});
        return;
      }
      if (remove !== undefined) {
        const removed = removeReceived(context.root, remove);
        if (context.json) printResult('receive --remove', removed);
        else printLines(`${remove}: removed`);
        return;
      }
      if (process.stdin.isTTY) {
        const hint = 'Run byref move on the machine that has the env.';
        throw new ByrefError('usage', 'nobody sends an env: our input is a terminal', hint);
      }
      const { signal, release } = interruption();
      const note = (text: string): void => printNotes([text]);
      const session = sessionOf(context);
      await receiveEnv(session, process.stdin, process.stdout, { signal, note }).finally(release);
    });
}
