import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';
import { EXIT } from '../../base/exit-codes.ts';
import { formatSize, sizeOf } from '../../base/size.ts';
import { describeNames } from '../../manager/upkeep/fsck/object-uses.ts';
import type { DamagedObject } from '../../manager/upkeep/scrub/damage-report.ts';
import { type RootScrubbed, scrubRoot } from '../../services/scrub-root.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { interruption } from '../interruption.ts';
import { objectsText } from '../numbers.ts';
import { oldReaderLines } from '../old-readers.ts';
import { setExitCode } from '../output.ts';
import { printLines } from '../print.ts';
import { Progress } from '../progress.ts';
import { printResult } from '../table.ts';

interface Options {
  readonly rate: number;
  readonly repair?: boolean;
}

/** A fifth of what a slow disk reads, so that envs don't notice it; a terabyte takes six hours. */
const RATE = 50 * 2 ** 20;

/** Defines the command `byref scrub`. */
export default function build(): Command {
  return defineWaiting(
    'scrub',
    'Read all objects at a bounded rate, and say which are damaged. A run that is ended is gone on with by the next one.',
  )
    .option('--rate <size>', 'bytes to read per second; 0: no bound (50MiB)', parseRate, RATE)
    .option('--repair', 'replace damaged objects where an env has the same bytes')
    .action(async (options: Options) => {
      const { root, json, patience } = contextOf(options);
      const { rate, repair = false } = options;
      const progress = new Progress({ json });
      const { signal, release } = interruption();
      const result = await scrubRoot(root, {
        ...{ rate, repair, patience, signal },
        progress: progress.update,
      }).finally(() => {
        progress.end();
        release();
      });
      if (json) printResult('scrub', result);
      else
        printLines(
          ...result.damaged.map(lineOf),
          ...oldReaderLines(result.oldReaders),
          ...sum(result),
        );
      if (result.damaged.some(({ repaired }) => !repaired)) setExitCode(EXIT.corrupt);
      else if (signal.aborted) setExitCode(EXIT.pending);
    });
}

function parseRate(text: string): number {
  const bytes = sizeOf(text);
  if (bytes !== null) return bytes;
  throw new ByrefError('usage', `"${text}" is no size`, 'Write 50MiB, 1G, or 0 for no bound.');
}

function lineOf({ object, what, names, envs, remedy, repaired }: DamagedObject): string {
  const seen = envs.length === 0 ? 'no env sees it' : `seen by env ${envs.join(', ')}`;
  const done = repaired ? 'repaired' : remedy;
  return `error object ${object}: ${what}; ${describeNames(names)}; ${seen} (${done})`;
}

function sum({ read, round, damaged }: RootScrubbed): string[] {
  const repaired = damaged.filter((each) => each.repaired).length;
  const found =
    damaged.length === 0 ? 'none is damaged' : `${damaged.length} damaged, ${repaired} repaired`;
  const state =
    round.ended === null ? 'The round goes on with the next byref scrub' : 'The round is complete';
  return [
    `read ${objectsText(read.objects)}, ${formatSize(read.bytes)}: ${found}`,
    `${state}: ${objectsText(round.objects)}, ${formatSize(round.bytes)} since ${round.begun}`,
  ];
}
