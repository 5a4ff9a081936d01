import { join } from 'node:path';
import { createEnv } from '../../src/services/create-env.ts';
import { envDir, openStore } from '../../src/store/store.ts';
import { BYREF, type ByrefCli, byrefCli } from '../byref-cli.ts';
import { run } from '../process.ts';
import type { StudyTable } from '../results.ts';
import { formatBytes, formatNs, median } from '../stats.ts';
import { planTree, writeTree } from '../tree.ts';
import { work } from '../worker.ts';
import type { Study, StudyStage } from './study.ts';

const SIZES = { quick: [1000, 30_000], full: [1000, 30_000, 300_000] };
/** Files share contents, as a store of many templates does; the number of names is what counts here. */
const CONTENTS = 5000;
const ROUNDS = 7;
/** Envs made at once, to see what one takes on disk, and in the store alone. */
const BATCH = 500;

interface Figures {
  files: number;
  importNs: number;
  commandNs: number[];
  mountNs: number[];
  storeNs: number[];
  /** Of the root, for an env that was only created: the mean of all sizes. */
  createdBytes: number;
  /** Of the env's own directory, once it was mounted and a file was made in it. */
  usedBytes: number;
}

/** What a new env costs, by the size of its template. */
export const envCreate: Study = { name: 'env-create', run: study };

async function study(stage: StudyStage): Promise<StudyTable> {
  const dir = join(stage.backing.dir, 'env-create');
  const cli = await byrefCli(dir);
  stage.cleanup.defer('close the env-create root', () => cli.close());
  const sizes = stage.quick ? SIZES.quick : SIZES.full;
  const figures: Figures[] = [];
  for (const files of sizes) figures.push(await importTemplate(stage, cli, dir, files));
  // Round by round, so that a slow moment hits every size.
  for (let round = 0; round < ROUNDS; round++) {
    for (const each of figures) await createAndMount(stage, cli, each, round);
  }
  await createInStore(cli, figures);
  await cli.close();
  return table(figures);
}

async function importTemplate(
  stage: StudyStage,
  cli: ByrefCli,
  dir: string,
  files: number,
): Promise<Figures> {
  const source = join(dir, `tree-${files}`);
  writeTree(planTree({ files, contents: CONTENTS, median: 0, largest: 0 }), source);
  const importNs = await timed(stage, cli, 'template', 'import', `t${files}`, source);
  await run('rm', ['-rf', source]);
  return {
    files,
    importNs,
    commandNs: [],
    mountNs: [],
    storeNs: [],
    createdBytes: 0,
    usedBytes: 0,
  };
}

/** Nanoseconds that a byref command takes, its start included. */
const timed = (stage: StudyStage, cli: ByrefCli, ...args: string[]): Promise<number> =>
  work(stage.worker, '/', ['run', BYREF, ...args], cli.env);

async function createAndMount(
  stage: StudyStage,
  cli: ByrefCli,
  figures: Figures,
  round: number,
): Promise<void> {
  const name = `e${figures.files}-${round}`;
  const created = await timed(stage, cli, 'create', name, '--os', `t${figures.files}`);
  const mounted = await timed(stage, cli, 'mount', name);
  await run('touch', [join(cli.mountDir(name), 'file')]);
  await cli.run('umount', name);
  figures.usedBytes = await diskUsage(envDir(cli.root, await cli.envId(name)));
  if (round === 0) return; // starts the driver, reads the template for the first time
  figures.commandNs.push(created);
  figures.mountNs.push(mounted);
}

/**
 * The store's part alone, without the start of a command around it. Sizes take turns: what grows with
 * the number of envs is not to look like growth with the size of a template.
 */
async function createInStore(cli: ByrefCli, all: readonly Figures[]): Promise<void> {
  const before = await diskUsage(cli.root);
  const store = await openStore(cli.root, { write: true });
  try {
    for (let i = 0; i < BATCH; i++) {
      for (const { files, storeNs } of all) {
        const start = process.hrtime.bigint();
        await createEnv(store, { name: `s${files}-${i}`, os: `t${files}`, apps: [] });
        storeNs.push(Number(process.hrtime.bigint() - start));
      }
    }
  } finally {
    await store.close();
  }
  const bytes = ((await diskUsage(cli.root)) - before) / (BATCH * all.length);
  for (const each of all) each.createdBytes = bytes;
}

async function diskUsage(dir: string): Promise<number> {
  await run('sync', ['-f', dir]);
  return Number.parseInt(await run('du', ['-s', '--block-size=1', dir]), 10);
}

function table(all: readonly Figures[]): StudyTable {
  const rows = all.map((each) => [
    each.files.toLocaleString('en'),
    formatNs(median(each.storeNs)),
    formatBytes(each.createdBytes),
    formatBytes(each.usedBytes),
    formatNs(median(each.commandNs)),
    formatNs(median(each.mountNs)),
    formatNs(each.importNs),
  ]);
  const figures: Record<string, number> = {};
  for (const each of all) {
    figures[`create ${each.files} store ns`] = median(each.storeNs);
    figures[`create ${each.files} bytes`] = each.createdBytes;
    figures[`used ${each.files} bytes`] = each.usedBytes;
    figures[`create ${each.files} command ns`] = median(each.commandNs);
    figures[`mount ${each.files} command ns`] = median(each.mountNs);
    figures[`import ${each.files} command ns`] = each.importNs;
  }
  return {
    name: 'env-create',
    title: 'Creating an env, by files in its template',
    columns: [
      'files',
      'in the store (target: < 5 ms)',
      'on disk (target: < 64 KiB)',
      'on disk, mounted, one file',
      'byref create',
      'byref mount',
      'byref template import (once)',
    ],
    rows,
    figures,
  };
}
