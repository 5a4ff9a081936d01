import { cpSync, mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createEnv } from '../../src/services/create-env.ts';
import { openStore } from '../../src/store/store.ts';
import { BYREF, type ByrefCli, byrefCli } from '../byref-cli.ts';
import { unmountBelow } from '../mounts.ts';
import { run } from '../process.ts';
import type { StudyTable } from '../results.ts';
import { formatNs, median } from '../stats.ts';
import { work } from '../worker.ts';
import type { Study, StudyStage } from './study.ts';

const ENVS = { quick: [1, 100], full: [1, 10, 100, 1000] };
const CHANGED = { quick: [1, 100], full: [1, 100, 10_000] };
const ROUNDS = { quick: 3, full: 5 };
const FILES = 10_000;
const FILES_PER_DIR = 100;
/** Changed files that a program has just read in every env: the kernel knows them there, and must be told. */
const WARM_MAX = 100;
const BUILT = new Date('2026-01-01T00:00:00Z');
/** Envs of one `byref mount`. */
const BATCH = 50;

/** What a patch and its rollback take from the command to the last env that sees it, and what overlayfs takes. */
export const patch: Study = { name: 'patch', run: study };

interface Sample {
  patchNs: number[];
  rollbackNs: number[];
  overlayNs: number[];
}

async function study(stage: StudyStage): Promise<StudyTable> {
  const dir = join(stage.backing.dir, 'patch');
  mkdirSync(dir, { recursive: true });
  const cli = await byrefCli(join(dir, 'byref'));
  stage.cleanup.defer('close the patch root', () => cli.close());
  const overlay = join(dir, 'overlay');
  stage.cleanup.defer('unmount the overlays', () => unmountBelow(overlay));

  const changed = stage.quick ? CHANGED.quick : CHANGED.full;
  const lowers = await makeVersions(cli, dir, changed);
  const samples = new Map<string, Sample>();
  let mounted = 0;
  for (const envs of stage.quick ? ENVS.quick : ENVS.full) {
    await moreEnvs(cli, overlay, lowers[0]!, mounted, envs);
    mounted = envs;
    for (let round = 0; round < (stage.quick ? ROUNDS.quick : ROUNDS.full); round++) {
      // Round by round, so that a slow moment hits every row.
      for (const [i, files] of changed.entries()) {
        const key = `${envs} ${files}`;
        const sample = samples.get(key) ?? { patchNs: [], rollbackNs: [], overlayNs: [] };
        samples.set(key, sample);
        await warm(stage, cli, dir, files, envs);
        sample.patchNs.push(await timed(stage, cli, 'patch', 't', '--to', String(i + 2)));
        await expectSeen(cli, envs, 'new');
        await warm(stage, cli, dir, files, envs);
        sample.rollbackNs.push(await timed(stage, cli, 'rollback', 't', '--to', '1'));
        await expectSeen(cli, envs, 'old');
        for (const lower of [lowers[i + 1]!, lowers[0]!]) {
          const args = ['overlay-relower', join(overlay, 'dirs'), lower];
          // work() gives the time of one: here all of them together count.
          sample.overlayNs.push((await work(stage.worker, '/', args)) * envs);
        }
      }
    }
  }
  const start = await startNs(stage, cli);
  await cli.close();
  await unmountBelow(overlay);
  rmSync(dir, { recursive: true, force: true });
  return table(samples, start);
}

/** Imports version 1, and one that changes so many files for each count; the trees, as lower directories. */
async function makeVersions(
  cli: ByrefCli,
  dir: string,
  changed: readonly number[],
): Promise<string[]> {
  const base = join(dir, 'version-1');
  for (let i = 0; i < FILES; i++) {
    if (i % FILES_PER_DIR === 0) mkdirSync(join(base, dirOf(i)), { recursive: true });
    writeFileSync(join(base, fileOf(i)), `old ${i}\n`);
  }
  sameTimes(base);
  await cli.run('template', 'import', 't', base);
  const lowers = [base];
  for (const [v, files] of changed.entries()) {
    const version = join(dir, `version-${v + 2}`);
    cpSync(base, version, { recursive: true, preserveTimestamps: true });
    for (let i = 0; i < files; i++) {
      rmSync(join(version, fileOf(i)));
      writeFileSync(join(version, fileOf(i)), `new ${i} of ${files}\n`);
    }
    sameTimes(version);
    await cli.run('template', 'import', 't', version);
    lowers.push(version);
    writeFileSync(warmList(dir, files), warmPaths(files));
  }
  return lowers;
}

/** A copied tree has its times to the microsecond at best: each file would be a changed one. */
function sameTimes(tree: string): void {
  for (const name of readdirSync(tree, { recursive: true, encoding: 'utf8' })) {
    utimesSync(join(tree, name), BUILT, BUILT);
  }
  utimesSync(tree, BUILT, BUILT);
}

const dirOf = (i: number): string => `usr/lib/d${Math.floor(i / FILES_PER_DIR)}`;
const fileOf = (i: number): string => `${dirOf(i)}/file-${i}`;
const warmList = (dir: string, files: number): string => join(dir, `warm-${files}`);
const warmPaths = (files: number): string =>
  Array.from({ length: Math.min(files, WARM_MAX) }, (_, i) => `${fileOf(i)}\n`).join('');

async function moreEnvs(
  cli: ByrefCli,
  overlay: string,
  lower: string,
  from: number,
  to: number,
): Promise<void> {
  const names = Array.from({ length: to - from }, (_, i) => `e${from + i}`);
  const store = await openStore(cli.root, { write: true });
  try {
    for (const name of names) await createEnv(store, { name, os: 't', apps: [] });
  } finally {
    await store.close();
  }
  for (let i = 0; i < names.length; i += BATCH) {
    await cli.run('mount', ...names.slice(i, i + BATCH));
  }
  for (const name of names) {
    const env = join(overlay, name);
    for (const part of ['upper', 'work', 'merged']) mkdirSync(join(env, part), { recursive: true });
    const options = `lowerdir=${lower},upperdir=${env}/upper,workdir=${env}/work`;
    await run('mount', ['-t', 'overlay', 'overlay', '-o', options, join(env, 'merged')]);
  }
  const all = Array.from({ length: to }, (_, i) => `${join(overlay, `e${i}`)}\n`);
  writeFileSync(join(overlay, 'dirs'), all.join(''));
}

/** A program in every env reads what is about to change. */
async function warm(
  stage: StudyStage,
  cli: ByrefCli,
  dir: string,
  files: number,
  envs: number,
): Promise<void> {
  for (let i = 0; i < envs; i++) {
    await work(stage.worker, cli.mountDir(`e${i}`), ['read-list', warmList(dir, files)]);
  }
}

/** Nanoseconds that a byref command takes, its start included. */
const timed = (stage: StudyStage, cli: ByrefCli, ...args: string[]): Promise<number> =>
  work(stage.worker, '/', ['run', BYREF, ...args], cli.env);

async function expectSeen(cli: ByrefCli, envs: number, word: string): Promise<void> {
  const files = Array.from({ length: envs }, (_, i) => join(cli.mountDir(`e${i}`), fileOf(0)));
  const text = await run('cat', files);
  const seen = new Set(
    text
      .trim()
      .split('\n')
      .map((line) => line.split(' ')[0]),
  );
  if (seen.size !== 1 || !seen.has(word))
    throw new Error(`envs see ${[...seen].join(', ')}, not ${word}`);
}

/** What a command takes before it does anything. */
async function startNs(stage: StudyStage, cli: ByrefCli): Promise<number> {
  const samples: number[] = [];
  for (let i = 0; i < 10; i++) samples.push(await timed(stage, cli, 'list', '-q'));
  return median(samples);
}

function table(samples: ReadonlyMap<string, Sample>, start: number): StudyTable {
  const figures: Record<string, number> = { 'start ns': start };
  const rows = [...samples].map(([key, { patchNs, rollbackNs, overlayNs }]) => {
    const [envs = '', files = ''] = key.split(' ');
    figures[`patch ${key} ns`] = median(patchNs);
    figures[`rollback ${key} ns`] = median(rollbackNs);
    figures[`overlay ${key} ns`] = median(overlayNs);
    return [
      Number(envs).toLocaleString('en'),
      Number(files).toLocaleString('en'),
      formatNs(median(patchNs)),
      formatNs(median(rollbackNs)),
      formatNs(median(overlayNs)),
    ];
  });
  return {
    name: 'patch',
    title: `From the command to the last env that sees it, by mounted envs and changed files (${WARM_MAX} at most of them just read in each env; \`byref list\` takes ${formatNs(start)} of start)`,
    columns: [
      'mounted envs',
      'changed files',
      'byref patch (target: 1,000 envs, 100 files <= 1 s)',
      'byref rollback (target: no slower)',
      'overlayfs: unmount and mount on the new tree, nobody may use it',
    ],
    rows,
    figures,
  };
}
