import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';
import { formatSize } from '../../base/size.ts';
import type { Reason } from '../../manager/upkeep/gc/reasons.ts';
import { collectGarbage, type GarbageCollected } from '../../services/collect-garbage.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { LATER } from '../notes.ts';
import { objectsText } from '../numbers.ts';
import { printLines } from '../print.ts';
import { withStore } from '../session.ts';
import { printResult } from '../table.ts';

interface Options {
  readonly dryRun?: boolean;
  readonly keep: number;
}

const KEPT_VERSIONS = 3;

/** Defines the command `byref gc`. */
export default function build(): Command {
  return defineWaiting(
    'gc',
    'Remove versions that no env sees, uses or can go back to, and all that nothing refers to.',
  )
    .option('-n, --dry-run', 'say what would go, and change nothing')
    .option(
      '--keep <n>',
      'versions to be able to go back to, per template',
      parseKeep,
      KEPT_VERSIONS,
    )
    .action(async (options: Options) => {
      const context = contextOf(options);
      const { dryRun = false, keep } = options;
      const report = await withStore(context, 'write', (store) =>
        collectGarbage(store, { dryRun, keep }),
      );
      if (context.json) printResult('gc', report);
      else printLines(...lines(report));
    });
}

function parseKeep(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new ByrefError('usage', `"${text}" is no count`, 'Give a whole number, 0 or more.');
}

const REASONS: Readonly<Record<Reason, string>> = {
  current: 'current',
  pinned: 'pinned by',
  canary: 'tried out by',
  shown: 'seen by',
  'in-use': 'in use in',
  base: 'installed on it:',
  'unknown-use': 'mounted without a driver:',
  staged: 'staged',
  past: 'to go back to',
};

function lines(report: GarbageCollected): string[] {
  const { removed, kept, freedObjects, freedBytes, later, keptObjects, leftovers, dryRun } = report;
  const would = dryRun ? 'would remove' : 'removed';
  return [
    ...kept.map(
      ({ template, version, reason, by }) =>
        `kept ${template}@${version}: ${`${REASONS[reason]} ${by}`.trim()}`,
    ),
    ...(keptObjects > 0 ? [`kept ${objectsText(keptObjects)} that envs use`] : []),
    ...removed.map(({ template, version }) => `${would} ${template}@${version}`),
    ...leftovers.map((file) => `${would} ${file}`),
    `${dryRun ? 'would free' : 'freed'} ${objectsText(freedObjects)}, ${formatSize(freedBytes)}${later ? LATER : ''}`,
  ];
}
