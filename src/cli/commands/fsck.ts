import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';
import { EXIT } from '../../base/exit-codes.ts';
import { formatSize } from '../../base/size.ts';
import type { Finding } from '../../manager/upkeep/fsck/finding.ts';
import { fsck } from '../../manager/upkeep/fsck/fsck.ts';
import { type FsckResult, hasWarnings, isDamaged } from '../../manager/upkeep/fsck/report.ts';
import { restoreStore } from '../../services/restore-store.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { printNotes } from '../notes.ts';
import { oldReaderLines } from '../old-readers.ts';
import { setExitCode } from '../output.ts';
import { printLines } from '../print.ts';
import { Progress } from '../progress.ts';
import { printResult } from '../table.ts';

interface Options {
  readonly quick?: boolean;
  readonly full?: boolean;
  readonly packages?: boolean;
  readonly repair?: boolean;
  readonly acceptLoss?: boolean;
  readonly removeLost?: boolean;
  readonly restoreStore?: boolean;
}

const MOUNTED_NOTE = 'envs that are mounted show it when they are mounted next';

/** Defines the command `byref fsck`. */
export default function build(): Command {
  return defineWaiting('fsck', 'Check everything below the root, and say what is damaged.')
    .option('--quick', 'rows, and one stat per file (the default)')
    .option('--full', "also every object's bytes, and counts over every version")
    .option('--packages', 'also ask apt whether the packages of envs fit together')
    .option('--repair', 'repair what can be repaired without guessing')
    .option('--accept-loss', 'also let envs go on without what their journal has lost')
    .option('--remove-lost', 'also remove what is in the lost+found of envs')
    .option('--restore-store', 'first put the newest sound copy in the place of a damaged store')
    .action(async (options: Options) => {
      const { root, json, patience } = contextOf(options);
      const { quick = false, full = false, acceptLoss = false, removeLost = false } = options;
      const { packages = false } = options;
      const repair = (options.repair ?? false) || acceptLoss || removeLost;
      if (quick && full) {
        throw new ByrefError('usage', '--quick and --full exclude each other', 'Drop one.');
      }
      if (options.restoreStore) {
        const { madeMs, kept } = await restoreStore(root, patience);
        const made = new Date(madeMs).toISOString();
        printNotes([`the store is as it was at ${made}; what was there is ${kept}`, MOUNTED_NOTE]);
      }
      const progress = new Progress({ json: false });
      const began = performance.now();
      const result = await fsck(root, {
        full,
        repair,
        acceptLoss,
        removeLost,
        packages,
        patience,
        ...(json ? {} : { progress: progress.update }),
      }).finally(() => progress.end());
      if (json) printResult('fsck', result);
      else {
        const readers = oldReaderLines(result.oldReaders ?? []);
        const summary = summaryOf(result, performance.now() - began);
        printLines(...result.findings.map(lineOf), ...readers, summary);
      }
      if (isDamaged(result)) setExitCode(EXIT.corrupt);
      else if (hasWarnings(result)) setExitCode(EXIT.pending);
    });
}

function lineOf({ severity, where, what, remedy, repaired }: Finding): string {
  return `${severity} ${where}: ${what} (${repaired ? 'repaired' : remedy})`;
}

/** Sums up: "checked 2 templates, 30000 links, ... in 1.2 s: 1 error, 2 leftovers; 2 repaired". */
function summaryOf({ checked, findings }: FsckResult, ms: number): string {
  const { templates, versions, compositions, links, objects, objectBytes, envs, deltaInodes } =
    checked;
  const content = objectBytes > 0 ? ` (${formatSize(objectBytes)} read)` : '';
  const seen = [
    count(templates, 'template'),
    count(versions, 'version'),
    ...(compositions > 0 ? [count(compositions, 'composition')] : []),
    count(links, 'link'),
    `${count(objects, 'object')}${content}`,
    count(envs, 'env'),
    `${count(deltaInodes, 'inode')} of envs`,
  ].join(', ');
  const of = (wanted: Finding['severity']): number =>
    findings.filter(({ severity }) => severity === wanted).length;
  const repaired = findings.filter((finding) => finding.repaired).length;
  const warnings = of('warning');
  const kinds = [
    count(of('error'), 'error'),
    ...(warnings > 0 ? [count(warnings, 'warning')] : []),
    count(of('leftover'), 'leftover'),
  ].join(', ');
  const found = findings.length === 0 ? 'nothing found' : `${kinds}; ${repaired} repaired`;
  return `checked ${seen} in ${(ms / 1000).toFixed(1)} s: ${found}`;
}

const count = (number: number, noun: string): string =>
  `${number} ${noun}${number === 1 ? '' : 's'}`;
