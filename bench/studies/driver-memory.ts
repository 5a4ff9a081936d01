import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createEnv } from '../../src/services/create-env.ts';
import { openStore } from '../../src/store/store.ts';
import { type ByrefCli, byrefCli } from '../byref-cli.ts';
import { pause } from '../process.ts';
import type { StudyTable } from '../results.ts';
import { formatBytes } from '../stats.ts';
import { planTree, writeTree } from '../tree.ts';
import { work } from '../worker.ts';
import type { Study, StudyStage } from './study.ts';

const COUNTS = { quick: [1, 100], full: [1, 100, 1000] };
const FILES = 30_000;
/** Files that a program in each env looks at: something for the driver to remember. */
const LOOKED_AT = 100;
/** Envs of one `byref mount`. */
const BATCH = 50;
const IDLE_SECONDS = { quick: 3, full: 10 };
/** For what starting and looking left to do: checkpoints, garbage collection. */
const SETTLE_MS = 6000;
/** Linux gives process times to user space in hundredths of a second, whatever its own tick. */
const TICKS_PER_SECOND = 100;

interface Figures {
  envs: number;
  mountedBytes: number;
  usedBytes: number;
  idleCpu: number;
}

/** What one driver holds in memory and does when nobody asks anything, by mounted envs. */
export const driverMemory: Study = { name: 'driver-memory', run: study };

async function study(stage: StudyStage): Promise<StudyTable> {
  const dir = join(stage.backing.dir, 'driver-memory');
  const cli = await byrefCli(dir, '--shards', '1');
  stage.cleanup.defer('close the driver-memory root', () => cli.close());
  const plan = planTree({ files: FILES, contents: 1000, median: 0, largest: 0 });
  writeTree(plan, join(dir, 'tree'));
  await cli.run('template', 'import', 'bench', join(dir, 'tree'));
  const list = join(dir, 'list');
  const some = plan.files.filter((_, i) => i % (FILES / LOOKED_AT) === 0);
  writeFileSync(list, some.map(({ path }) => `${path}\n`).join(''));

  const figures: Figures[] = [];
  let mounted = 0;
  for (const envs of stage.quick ? COUNTS.quick : COUNTS.full) {
    const names = Array.from({ length: envs - mounted }, (_, i) => `e${mounted + i}`);
    await createAll(cli, names);
    for (let i = 0; i < names.length; i += BATCH) {
      await cli.run('mount', ...names.slice(i, i + BATCH));
    }
    mounted = envs;
    const driver = onlyDriver(cli);
    await pause(SETTLE_MS);
    const mountedBytes = residentBytes(driver);
    for (const name of names) await work(stage.worker, cli.mountDir(name), ['stat-list', list]);
    await pause(SETTLE_MS);
    const usedBytes = residentBytes(driver);
    const seconds = stage.quick ? IDLE_SECONDS.quick : IDLE_SECONDS.full;
    const before = cpuSeconds(driver);
    await pause(seconds * 1000);
    const idleCpu = (cpuSeconds(driver) - before) / seconds;
    figures.push({ envs, mountedBytes, usedBytes, idleCpu });
  }
  await cli.close();
  return table(figures);
}

async function createAll(cli: ByrefCli, names: readonly string[]): Promise<void> {
  const store = await openStore(cli.root, { write: true });
  try {
    for (const name of names) await createEnv(store, { name, os: 'bench', apps: [] });
  } finally {
    await store.close();
  }
}

function onlyDriver(cli: ByrefCli): number {
  const [pid, ...others] = cli.drivers();
  if (pid === undefined || others.length) throw new Error(`${others.length + 1} drivers, not 1`);
  return pid;
}

function residentBytes(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) * 1024;
}

/** User and system time of all threads so far. */
function cpuSeconds(pid: number): number {
  // After the name, which is in brackets and may hold anything: state is field 3, utime 14, stime 15.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function table(all: readonly Figures[]): StudyTable {
  const base = all[0];
  const perEnv = (each: Figures, bytes: (of: Figures) => number): string =>
    base && each.envs > base.envs
      ? formatBytes((bytes(each) - bytes(base)) / (each.envs - base.envs))
      : '';
  const rows = all.map((each) => [
    each.envs.toLocaleString('en'),
    formatBytes(each.mountedBytes),
    perEnv(each, (of) => of.mountedBytes),
    formatBytes(each.usedBytes),
    perEnv(each, (of) => of.usedBytes),
    `${(each.idleCpu * 100).toFixed(2)} %`,
  ]);
  const figures: Record<string, number> = {};
  for (const each of all) {
    figures[`${each.envs} mounted bytes`] = each.mountedBytes;
    figures[`${each.envs} used bytes`] = each.usedBytes;
    figures[`${each.envs} idle cpu`] = each.idleCpu;
  }
  return {
    name: 'driver-memory',
    title: 'Resident memory and idle CPU of one driver, by mounted envs',
    columns: [
      'envs',
      'mounted (target: 1,000 < 1 GiB)',
      'each more',
      `after ${LOOKED_AT} stats in each`,
      'each more',
      'idle CPU of one core (target: 0)',
    ],
    rows,
    figures,
  };
}
