import path from 'node:path';
import { type Command, Option } from 'commander';
import { ByrefError } from '../../base/error.ts';
import { formatSize } from '../../base/size.ts';
import { sweepEnvDirs } from '../../manager/envs/destroy.ts';
import { needPeoplesEnv, peoplesEnvs } from '../../manager/sandbox/owner.ts';
import { backupInto, type EnvBackedUpInto, lockBackups } from '../../services/backup-all.ts';
import { backupEnv, type EnvBackedUp } from '../../services/backup-env.ts';
import { backupService, backupTimer } from '../backup-units.ts';
import { type Context, contextOf, defineWaiting } from '../command.ts';
import { forEachEnv } from '../each-env.ts';
import { interruption } from '../interruption.ts';
import { printNotes } from '../notes.ts';
import { parseCount } from '../numbers.ts';
import { printLines, printOwn } from '../print.ts';
import { interruptible, withStore } from '../session.ts';
import { printResult } from '../table.ts';

interface Options {
  readonly withTemplates?: boolean;
  readonly incrementalFrom?: string;
  readonly all?: string;
  readonly incremental?: boolean;
  readonly keepDaily?: number;
  readonly keepWeekly?: number;
  readonly unit?: 'service' | 'timer';
}

const filesText = (count: number): string => `${count} ${count === 1 ? 'file' : 'files'}`;

/** Defines the command `byref backup`. */
export default function build(): Command {
  return defineWaiting(
    'backup [env] [file]',
    'Write what an env is, and all that it has of its own, as it is at this moment; - is standard output. byref restore makes an env of it.',
  )
    .option('--with-templates', 'the versions of its templates, too, for a machine that lacks them')
    .option(
      '--incremental-from <backup>',
      'of its private files only those that changed since that backup, which restore has to have, too',
    )
    .option('--all <dir>', 'every env, each into a directory of its name in this one')
    .option('--incremental', 'with --all: whole once a week, else on the one before')
    .option(
      '--keep-daily <n>',
      'with --all: remove others than the last of so many days',
      parseCount,
    )
    .option('--keep-weekly <n>', 'with --all: keep the last of so many weeks, too', parseCount)
    .addOption(
      new Option(
        '--unit <kind>',
        'with --all: print a unit for systemd that does this, and do nothing else',
      ).choices(['service', 'timer']),
    )
    .action(async (env: string | undefined, target: string | undefined, options: Options) => {
      const context = contextOf(options);
      checkWords(env, target, options);
      if (options.all !== undefined) await backupAll(context, path.resolve(options.all), options);
      else await backupOne(context, env!, target!, options);
    });
}

/** @throws ByrefError 'usage' for words that do not go together */
function checkWords(env: string | undefined, target: string | undefined, options: Options): void {
  const { all, incremental, keepDaily, keepWeekly, unit, incrementalFrom } = options;
  const ofAll = [incremental, keepDaily, keepWeekly, unit].some((each) => each !== undefined);
  if (all === undefined && target === undefined)
    throw usage('an env and a file are needed', 'Name both, or say --all DIR.');
  if (all === undefined && ofAll)
    throw usage(
      '--incremental, --keep-daily, --keep-weekly and --unit go with --all',
      'Say --all DIR, or drop them.',
    );
  if (all !== undefined && (env !== undefined || incrementalFrom !== undefined))
    throw usage('--all takes no env and no --incremental-from', 'Drop one.');
}

const usage = (message: string, hint: string): ByrefError => new ByrefError('usage', message, hint);

async function backupOne(
  context: Context,
  env: string,
  target: string,
  { withTemplates = false, incrementalFrom }: Options,
): Promise<void> {
  const { patience } = context;
  const file = target === '-' || target === '' ? target : path.resolve(target);
  const { signal, release } = interruption();
  const made = await withStore(interruptible(context, signal), 'write', (store) => {
    const base = incrementalFrom === undefined ? null : path.resolve(incrementalFrom);
    const row = needPeoplesEnv(store, env);
    return backupEnv(store, row, { file, withTemplates, base }, { patience, signal });
  }).finally(release);
  if (target === '-') return;
  if (context.json) printResult('backup', made);
  else printLines(...text(made, target));
}

function text({ name, bytes, files, unchanged, frozenMs }: EnvBackedUp, target: string): string[] {
  const still = frozenMs === null ? '' : `, which stood still for ${frozenMs} ms`;
  return [
    `${target}: ${formatSize(bytes)}, with ${filesText(files - unchanged)} of its own, of ${name}${still}`,
    ...(unchanged === 0 ? [] : [`as they were, and not in it: ${filesText(unchanged)}`]),
  ];
}

const textInto = (made: EnvBackedUpInto): string[] => [
  ...text(made, made.file),
  ...made.removed.map((file) => `removed ${file}`),
];

async function backupAll(context: Context, directory: string, options: Options): Promise<void> {
  const { withTemplates = false, incremental = false, keepDaily, keepWeekly, unit } = options;
  if (unit !== undefined) {
    const words = wordsOf(options);
    printOwn(
      unit === 'timer' ? backupTimer() : backupService({ root: context.root, directory, words }),
    );
    return;
  }
  const { patience } = context;
  const { signal, release } = interruption();
  const isKept = keepDaily === undefined && keepWeekly === undefined;
  const keep = isKept ? null : { daily: keepDaily ?? 0, weekly: keepWeekly ?? 0 };
  const wanted = { withTemplates, incremental, keep };
  const note = (said: string): void => printNotes([said]);
  const lock = lockBackups(directory);
  try {
    const made: EnvBackedUpInto[] = [];
    await withStore(interruptible(context, signal), 'write', async (store) => {
      // What runs left that were killed is as large as the envs' own files.
      sweepEnvDirs(store);
      for (const row of peoplesEnvs(store)) {
        const work = (): Promise<EnvBackedUpInto> =>
          backupInto(store, row, directory, wanted, { patience, signal }, note);
        made.push(...(await forEachEnv(context, [row], work, textInto)));
        // The env that was at work has said so.
        if (signal.aborted) return;
      }
    });
    if (context.json) printResult('backup --all', made);
  } finally {
    lock.release();
    release();
  }
}

/** Returns the options as words, for a unit. */
const wordsOf = (options: Options): string[] => [
  ...(options.withTemplates === true ? ['--with-templates'] : []),
  ...(options.incremental === true ? ['--incremental'] : []),
  ...(options.keepDaily === undefined ? [] : ['--keep-daily', String(options.keepDaily)]),
  ...(options.keepWeekly === undefined ? [] : ['--keep-weekly', String(options.keepWeekly)]),
];
