import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type ByrefCli, byrefCli } from '../byref-cli.ts';
import { dropCaches, foreignDrops } from '../drop-caches.ts';
import { pause } from '../process.ts';
import { Random } from '../random.ts';
import type { StudyTable } from '../results.ts';
import { formatNs, formatRatio, median } from '../stats.ts';
import { planTree, writeTree } from '../tree.ts';
import { work } from '../worker.ts';
import type { Study, StudyStage } from './study.ts';

/** How many app templates lie on the OS template. */
const APPS = [0, 1, 3, 10] as const;
const OS_FILES = 30_000;
const APP_FILES = 3000;
/** Content of the files is of no matter here. */
const CONTENTS = 2000;
const ROUNDS = { quick: 3, full: 7 };
const TARGET = 1.2;
const ATTEMPTS = 3;
/** A warm pass takes some milliseconds: of so many the fastest counts, which nothing else has disturbed. */
const WARM_PASSES = 9;
/** To measure some states only: warm,dentries,cold. */
const STATES_WANTED = process.env['BENCH_STATES']?.split(',');

/** What the number of app templates in an env costs its programs, when they look names up. */
export const appsLookup: Study = { name: 'apps-lookup', run: study };

/** Names to ask for, a path a line. */
type List = 'os' | 'all-os' | 'app' | 'absent';

/**
 * warm: the kernel knows the names. dentries: it does not, and the driver does, as when memory is short, or in
 * the next env of the same templates. cold: nobody does, after a driver's start.
 */
type State = 'warm' | 'dentries' | 'cold';

interface Row {
  readonly title: string;
  readonly state: State;
  readonly loop: 'stat-list' | 'stat-absent' | 'read-list';
  readonly list: List;
}

const ROWS: readonly Row[] = [
  { title: 'stat of names of the OS template', state: 'warm', loop: 'stat-list', list: 'os' },
  { title: 'stat of names of an app', state: 'warm', loop: 'stat-list', list: 'app' },
  { title: 'stat of absent names', state: 'warm', loop: 'stat-absent', list: 'absent' },
  { title: 'open + read + close, OS template', state: 'warm', loop: 'read-list', list: 'os' },
  { title: 'open + read + close, an app', state: 'warm', loop: 'read-list', list: 'app' },
  { title: 'stat of names of the OS template', state: 'dentries', loop: 'stat-list', list: 'os' },
  {
    title: 'stat of all 30,000 of its names',
    state: 'dentries',
    loop: 'stat-list',
    list: 'all-os',
  },
  { title: 'stat of names of an app', state: 'dentries', loop: 'stat-list', list: 'app' },
  { title: 'stat of absent names', state: 'dentries', loop: 'stat-absent', list: 'absent' },
  { title: 'open + read + close, OS template', state: 'dentries', loop: 'read-list', list: 'os' },
  { title: 'stat of names of the OS template', state: 'cold', loop: 'stat-list', list: 'os' },
  { title: 'stat of absent names', state: 'cold', loop: 'stat-absent', list: 'absent' },
];

const STATES: Record<State, string> = {
  warm: 'warm',
  dentries: 'cold dentries',
  cold: 'cold, driver just started',
};

async function study(stage: StudyStage): Promise<StudyTable> {
  const dir = join(stage.backing.dir, 'apps-lookup');
  // A driver that serves nothing ends soon, with all that it knows.
  process.env['BYREF_IDLE_EXIT_MS'] = '100';
  const cli = await byrefCli(join(dir, 'byref'));
  stage.cleanup.defer('close the apps-lookup root', () => cli.close());
  await makeTemplates(cli, dir);
  for (const apps of APPS) {
    const stack = Array.from({ length: apps }, (_, i) => ['--app', `app${i}`]).flat();
    await cli.run('create', envOf(apps), '--os', 'os', ...stack);
  }
  await cli.run('mount', ...APPS.map(envOf));
  const samples = new Map<string, number[]>();
  const rounds = stage.quick ? ROUNDS.quick : ROUNDS.full;
  // The first round only warms up.
  for (let round = 0; round <= rounds; round++) {
    for (const row of wantedRows()) {
      for (let turn = 0; turn < APPS.length; turn++) {
        const apps = APPS[(turn + round) % APPS.length]!;
        const ns = await undisturbed(() => sample(stage, cli, dir, row, apps));
        const key = keyOf(row, apps);
        if (round > 0) samples.set(key, [...(samples.get(key) ?? []), ns]);
      }
    }
  }
  await cli.close();
  rmSync(dir, { recursive: true, force: true });
  return table(samples);
}

const envOf = (apps: number): string => `e${apps}`;
const keyOf = ({ state, loop, list }: Row, apps: number): string =>
  `${state} ${loop} ${list} ${apps}`;

/** Of others that drop the kernel's caches meanwhile: see rounds.ts. */
async function undisturbed(take: () => Promise<number>): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const before = foreignDrops();
    const ns = await take();
    if (foreignDrops() === before || attempt === ATTEMPTS) return ns;
  }
}

async function sample(
  stage: StudyStage,
  cli: ByrefCli,
  dir: string,
  { state, loop, list }: Row,
  apps: number,
): Promise<number> {
  if (state === 'cold') await restart(cli, apps);
  if (state === 'dentries') await dropCaches('dentries');
  const passes = state === 'warm' ? WARM_PASSES : 1;
  // Without an app, the OS template's names are what its own are compared to.
  const names = list === 'app' && apps === 0 ? 'os' : list;
  const args = [loop, join(dir, names), ...(state === 'warm' ? ['warm'] : [])];
  let fastest = Number.POSITIVE_INFINITY;
  for (let pass = 0; pass < passes; pass++) {
    fastest = Math.min(fastest, await work(stage.worker, cli.mountDir(envOf(apps)), args));
  }
  return fastest;
}

const wantedRows = (): readonly Row[] =>
  ROWS.filter(({ state }) => STATES_WANTED?.includes(state) ?? true);

/** All that a driver knows goes with it. */
async function restart(cli: ByrefCli, apps: number): Promise<void> {
  await cli.run('umount', '--all');
  while (cli.drivers().length > 0) await pause(50);
  await dropCaches('all');
  await cli.run('mount', ...APPS.filter((each) => each !== apps).map(envOf), envOf(apps));
}

async function makeTemplates(cli: ByrefCli, dir: string): Promise<void> {
  const plan = planTree({ files: OS_FILES, contents: CONTENTS, median: 0, largest: 0 });
  await importTree(cli, dir, 'os', 'os', (tree) => writeTree(plan, tree));
  const random = new Random(3);
  const dirs = plan.dirs.filter((each) => each.startsWith('usr/'));
  const inDirs = (count: number, name: (i: number) => string): string[] =>
    Array.from({ length: count }, (_, i) => `${random.pick(dirs)}/${name(i)}`);
  const names = new Map<List, string[]>();
  for (let app = 0; app < Math.max(...APPS); app++) {
    const files = inDirs(APP_FILES, (i) => `app${app}-${i}`);
    if (app === 0) names.set('app', files);
    await importTree(cli, dir, `app${app}`, 'app', (tree) => {
      for (const [i, file] of files.entries()) {
        mkdirSync(dirname(join(tree, file)), { recursive: true });
        writeFileSync(join(tree, file), `app ${app}, ${i % CONTENTS}`.padEnd(200));
      }
    });
  }
  const all = plan.files.map(({ path }) => path);
  names.set('all-os', shuffled(all));
  names.set('os', shuffled(all).slice(0, APP_FILES));
  names.set(
    'absent',
    inDirs(APP_FILES, (i) => `absent-${i}`),
  );
  for (const [name, paths] of names) writeFileSync(join(dir, name), `${paths.join('\n')}\n`);
}

/** In one order that is none of theirs. */
const shuffled = (paths: readonly string[]): string[] =>
  paths
    .map((path, i) => ({ path, at: Math.imul(i + 1, 0x9e3779b1) >>> 0 }))
    .sort((a, b) => a.at - b.at)
    .map(({ path }) => path);

async function importTree(
  cli: ByrefCli,
  dir: string,
  name: string,
  kind: 'os' | 'app',
  write: (tree: string) => void,
): Promise<void> {
  const tree = join(dir, 'tree');
  write(tree);
  await cli.run('template', 'import', name, tree, '--kind', kind);
  rmSync(tree, { recursive: true });
}

function table(samples: ReadonlyMap<string, readonly number[]>): StudyTable {
  const figures: Record<string, number> = {};
  const rows = wantedRows().map((row) => {
    const [none = 0, ...more] = APPS.map((apps) => median(samples.get(keyOf(row, apps)) ?? []));
    for (const [i, ns] of [none, ...more].entries()) figures[`${keyOf(row, APPS[i]!)} ns`] = ns;
    const ratios = more.map((ns) => formatRatio(ns / none));
    return [row.title, STATES[row.state], formatNs(none), ...ratios];
  });
  const [, ...counts] = APPS;
  return {
    name: 'apps-lookup',
    title: `Looking names up, by app templates of ${APP_FILES.toLocaleString('en')} files each in the env, in directories of the OS template`,
    columns: [
      'one operation is',
      'what is known',
      'without apps',
      ...counts.map((apps) => `${apps} app${apps === 1 ? '' : 's'} (target, warm: <= ${TARGET})`),
    ],
    rows,
    figures,
  };
}
