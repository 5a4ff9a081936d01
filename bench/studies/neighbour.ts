import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { byrefCli } from '../byref-cli.ts';
import { run } from '../process.ts';
import type { StudyTable } from '../results.ts';
import { formatNs, median } from '../stats.ts';
import { Contents } from '../tree.ts';
import type { Worker } from '../worker.ts';
import type { Study, StudyStage } from './study.ts';

const COPIES = 6;
const SETTINGS = {
  quick: { rounds: 3, seconds: 3, mebibytes: 256 },
  full: { rounds: 10, seconds: 5, mebibytes: 512 },
};
const MIB = 1024 * 1024;

/** Two directories: programs in one copy large files, and a program in the other has small ones on disk. */
interface Pair {
  readonly name: string;
  readonly noisy: string;
  readonly quiet: string;
  /** Nanoseconds of each create, write, fsync and unlink, alone and beside the copies. */
  readonly alone: number[];
  readonly beside: number[];
  /** Bytes that were copied meanwhile, and in how many nanoseconds. */
  readonly copied: { bytes: number; ns: number };
}

/** What an env that copies a lot costs the others of its driver; and what that costs on ext4, without any driver. */
export const neighbour: Study = { name: 'neighbour', run: study };

async function study(stage: StudyStage): Promise<StudyTable> {
  const { rounds, seconds, mebibytes } = stage.quick ? SETTINGS.quick : SETTINGS.full;
  const dir = join(stage.backing.dir, 'neighbour');
  const pairs = [plainPair(dir), await envPair(stage, dir)];
  for (const { noisy } of pairs) {
    new Contents().writeLarge(join(noisy, 'source'), mebibytes * MIB);
  }
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < pairs.length; turn++) {
      const pair = pairs[(turn + round) % pairs.length]!;
      // What the last one left to be written is not this one's.
      await run('sync', []);
      pair.alone.push(...(await smallFsyncs(stage.worker, pair.quiet, seconds)));
      await measureBeside(stage.worker, pair, seconds, mebibytes * MIB);
    }
  }
  return table(pairs);
}

function plainPair(dir: string): Pair {
  const [noisy, quiet] = ['plain-noisy', 'plain-quiet'].map((name) => join(dir, name));
  for (const each of [noisy!, quiet!]) mkdirSync(each, { recursive: true });
  return newPair('ext4', noisy!, quiet!);
}

async function envPair(stage: StudyStage, dir: string): Promise<Pair> {
  const cli = await byrefCli(join(dir, 'byref'), '--shards', '1');
  stage.cleanup.defer('close the neighbour root', () => cli.close());
  const source = join(dir, 'empty');
  mkdirSync(source);
  await cli.run('template', 'import', 'empty', source);
  for (const env of ['noisy', 'quiet']) await cli.run('create', env, '--os', 'empty');
  await cli.run('mount', 'noisy', 'quiet');
  return newPair('byref', cli.mountDir('noisy'), cli.mountDir('quiet'));
}

const newPair = (name: string, noisy: string, quiet: string): Pair => ({
  name,
  noisy,
  quiet,
  alone: [],
  beside: [],
  copied: { bytes: 0, ns: 0 },
});

async function measureBeside(
  { program }: Worker,
  { noisy, quiet, beside, copied }: Pair,
  seconds: number,
  bytes: number,
): Promise<void> {
  const names = Array.from({ length: COPIES }, (_, i) => `copy-${i}`);
  const copies = names.map((name) =>
    run(program, [noisy, 'copy-again', 'source', name, String(seconds)]),
  );
  beside.push(...(await smallFsyncs({ program }, quiet, seconds)));
  for (const line of await Promise.all(copies)) {
    const [ns = 0, times = 0] = line.trim().split(' ').map(Number);
    copied.bytes += times * bytes;
    copied.ns += ns / COPIES;
  }
  for (const name of names) rmSync(join(noisy, name));
}

/** How long each of them took; the loop's own line comes last. */
async function smallFsyncs(
  { program }: Pick<Worker, 'program'>,
  dir: string,
  seconds: number,
): Promise<number[]> {
  const lines = (await run(program, [dir, 'small-fsyncs', 'small', String(seconds)])).trim();
  return lines.split('\n').slice(0, -1).map(Number);
}

function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}

function table(pairs: readonly Pair[]): StudyTable {
  const figures: Record<string, number> = {};
  const rows = pairs.map(({ name, alone, beside, copied }) => {
    const values = [
      median(alone),
      percentile(alone, 0.99),
      median(beside),
      percentile(beside, 0.99),
    ];
    ['alone median', 'alone p99', 'beside median', 'beside p99'].forEach((what, i) => {
      figures[`${name} ${what} ns`] = values[i] ?? 0;
    });
    const rate = copied.bytes / MIB / (copied.ns / 1e9);
    figures[`${name} MiB/s copied`] = rate;
    return [name, ...values.map(formatNs), beside.length.toString(), `${Math.round(rate)} MiB/s`];
  });
  return {
    name: 'neighbour',
    title: `Create, 4 KiB, fsync and unlink of a small file, while ${COPIES} programs of a neighbour copy large files`,
    columns: ['', 'alone', 'alone, p99', 'beside', 'beside, p99', 'how many', 'copied meanwhile'],
    rows,
    figures,
  };
}
