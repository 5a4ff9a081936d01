import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createEnv } from '../../src/services/create-env.ts';
import { openStore } from '../../src/store/store.ts';
import { BYREF, type ByrefCli, byrefCli } from '../byref-cli.ts';
import { unmountBelow } from '../mounts.ts';
import { run } from '../process.ts';
import type { StudyTable } from '../results.ts';
import { formatNs, formatRatio, median } from '../stats.ts';
import { planTree, writeTree } from '../tree.ts';
import { work } from '../worker.ts';
import type { Study, StudyStage } from './study.ts';

const APPS = ['app0', 'app1', 'app2'] as const;
const FILES = { os: 10_000, app: 1000 };
const CONTENTS = 2000;
const ENVS = [1, 100] as const;
const ROUNDS = { quick: 3, full: 7 };

/** What it takes to make envs of an OS template and three apps, and what overlayfs and a copy take. */
export const appsCreate: Study = { name: 'apps-create', run: study };

interface Site {
  readonly stage: StudyStage;
  readonly cli: ByrefCli;
  readonly dir: string;
  /** Lower directories of overlayfs: the topmost first, as mount(8) wants them. */
  readonly lower: string;
  /** All in one tree, for a copy. */
  readonly tree: string;
}

/** Nanoseconds for so many envs; what it made is gone when it resolves. */
type Take = (site: Site, names: readonly string[]) => Promise<number>;

const TAKES: Record<string, { readonly take: Take; readonly most: number }> = {
  'created in the store': { take: inStore, most: 100 },
  'byref create and byref mount': { take: createAndMount, most: 100 },
  'overlayfs: mkdir and mount of four lower directories': { take: overlay, most: 100 },
  'cp -a of the whole tree': { take: copy, most: 1 },
};
const BASELINE = 'overlayfs: mkdir and mount of four lower directories';

async function study(stage: StudyStage): Promise<StudyTable> {
  const dir = join(stage.backing.dir, 'apps-create');
  const cli = await byrefCli(join(dir, 'byref'));
  stage.cleanup.defer('close the apps-create root', () => cli.close());
  stage.cleanup.defer('unmount the overlays', () => unmountBelow(join(dir, 'envs')));
  const site = { stage, cli, dir, ...(await makeTemplates(cli, dir)) };
  // The driver serves one all the time: its start is no part of a mount.
  await cli.run('create', 'first', ...stack());
  await cli.run('mount', 'first');
  const samples = new Map<string, number[]>();
  const rounds = stage.quick ? ROUNDS.quick : ROUNDS.full;
  for (let round = 0; round <= rounds; round++) {
    for (const envs of ENVS) {
      for (const [what, { take, most }] of Object.entries(TAKES)) {
        if (envs > most) continue;
        const ns = await take(site, names(envs, round));
        const key = `${what} ${envs}`;
        if (round > 0) samples.set(key, [...(samples.get(key) ?? []), ns]);
      }
    }
  }
  await cli.close();
  rmSync(dir, { recursive: true, force: true });
  return table(samples);
}

const stack = (): string[] => ['--os', 'os', ...APPS.flatMap((name) => ['--app', name])];
const names = (envs: number, round: number): string[] =>
  Array.from({ length: envs }, (_, i) => `e${round}-${envs}-${i}`);

async function makeTemplates(cli: ByrefCli, dir: string): Promise<Pick<Site, 'lower' | 'tree'>> {
  const tree = join(dir, 'whole');
  const lowers: string[] = [];
  for (const name of ['os', ...APPS]) {
    const files = name === 'os' ? FILES.os : FILES.app;
    const one = join(dir, name);
    const prefix = name === 'os' ? '.' : `opt/${name}`;
    writeTree(planTree({ files, contents: CONTENTS, median: 0, largest: 0 }), join(one, prefix));
    await cli.run('template', 'import', name, one, '--kind', name === 'os' ? 'os' : 'app');
    await run('cp', ['-a', `${one}/.`, tree]);
    lowers.unshift(one);
  }
  mkdirSync(join(dir, 'envs'));
  return { lower: lowers.join(':'), tree };
}

async function inStore({ cli }: Site, envs: readonly string[]): Promise<number> {
  const ns = await create(cli, envs);
  await cli.run('destroy', ...envs);
  return ns;
}

async function create(cli: ByrefCli, envs: readonly string[]): Promise<number> {
  const store = await openStore(cli.root, { write: true });
  try {
    const start = process.hrtime.bigint();
    for (const name of envs) await createEnv(store, { name, os: 'os', apps: APPS });
    return Number(process.hrtime.bigint() - start);
  } finally {
    await store.close();
  }
}

/** Commands, their start included; of many envs, only the mount is one. */
async function createAndMount({ stage, cli }: Site, envs: readonly string[]): Promise<number> {
  const timed = (...args: string[]): Promise<number> =>
    work(stage.worker, '/', ['run', BYREF, ...args], cli.env);
  const [first = ''] = envs;
  const created =
    envs.length === 1 ? await timed('create', first, ...stack()) : await create(cli, envs);
  const mounted = await timed('mount', ...envs);
  await cli.run('umount', ...envs);
  await cli.run('destroy', ...envs);
  return created + mounted;
}

async function overlay({ stage, dir, lower }: Site, envs: readonly string[]): Promise<number> {
  const list = join(dir, 'list');
  const dirs = envs.map((name) => join(dir, 'envs', name));
  writeFileSync(list, `${dirs.join('\n')}\n`);
  // work() gives the time of one.
  const ns = await work(stage.worker, '/', ['overlay-new', list, lower]);
  await unmountBelow(join(dir, 'envs'));
  for (const each of dirs) rmSync(each, { recursive: true });
  return ns * envs.length;
}

async function copy({ stage, dir, tree }: Site): Promise<number> {
  const to = join(dir, 'envs', 'copy');
  const ns = await work(stage.worker, '/', ['run', '/bin/cp', '-a', tree, to]);
  rmSync(to, { recursive: true });
  return ns;
}

function table(samples: ReadonlyMap<string, readonly number[]>): StudyTable {
  const figures: Record<string, number> = {};
  const timeOf = (what: string, envs: number): number | null => {
    const all = samples.get(`${what} ${envs}`);
    return all === undefined ? null : median(all);
  };
  const rows = Object.keys(TAKES).map((what) => {
    const cells = ENVS.flatMap((envs) => {
      const ns = timeOf(what, envs);
      if (ns === null) return ['', ''];
      figures[`${what} ${envs} ns`] = ns;
      return [formatNs(ns), formatRatio(ns / (timeOf(BASELINE, envs) ?? 1))];
    });
    return [what, ...cells];
  });
  return {
    name: 'apps-create',
    title: `Making envs of an OS template (${FILES.os.toLocaleString('en')} files) and three apps (${FILES.app.toLocaleString('en')} each)`,
    columns: [
      'how',
      ...ENVS.flatMap((envs) => [`${envs} env${envs === 1 ? '' : 's'}`, 'to overlayfs']),
    ],
    rows,
    figures,
  };
}
