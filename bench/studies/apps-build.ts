import { chmodSync, cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AptRepo } from '../../test/support/packages/apt-repo.ts';
import type { DebDescription } from '../../test/support/packages/deb.ts';
import { tinyDebs } from '../../test/support/packages/tiny-os.ts';
import { BYREF, type ByrefCli, byrefCli } from '../byref-cli.ts';
import { run } from '../process.ts';
import type { StudyTable } from '../results.ts';
import { formatBytes, formatNs, formatRatio, median } from '../stats.ts';
import { work } from '../worker.ts';
import type { Study, StudyStage } from './study.ts';

const ROUNDS = { quick: 2, full: 5 };
/** The package that stays, and the one that changes. */
const PAYLOAD = { files: 1000, bytes: 16_384 };
const PACKAGES = 'bench-payload bench-small';

/** What building and updating an app takes, and what making the tree anew with the same packages takes. */
export const appsBuild: Study = { name: 'apps-build', run: study };

const STEPS = {
  build: 'byref template build',
  same: 'byref template update, nothing new',
  update: 'byref template update, one small package of two',
  apt: 'the peer: apt-get install in a copy of the OS tree',
  mmdebstrap: 'the peer: mmdebstrap of OS and app',
} as const;
type Step = keyof typeof STEPS;

interface Cost {
  readonly ns: number;
  /** What is stored for it. */
  readonly bytes: number;
  readonly objects: number | null;
}

interface Site {
  readonly stage: StudyStage;
  readonly cli: ByrefCli;
  readonly dir: string;
  readonly repo: AptRepo;
  readonly url: string;
}

const payload: DebDescription = {
  name: 'bench-payload',
  version: '1.0',
  arch: 'all',
  files: Object.fromEntries(
    Array.from({ length: PAYLOAD.files }, (_, i) => [
      `/usr/share/bench/${i % 10}/${i}`,
      `${i} `.repeat(PAYLOAD.bytes).slice(0, PAYLOAD.bytes),
    ]),
  ),
};
const small = (version: string): DebDescription => ({
  name: 'bench-small',
  version,
  arch: 'all',
  files: { '/usr/bin/bench-small': `#!/bin/sh\necho ${version}\n` },
});

async function study(stage: StudyStage): Promise<StudyTable> {
  const dir = join(stage.backing.dir, 'apps-build');
  mkdirSync(dir, { recursive: true });
  // apt reads as a user of its own.
  chmodSync(dir, 0o755);
  const cli = await byrefCli(join(dir, 'byref'));
  stage.cleanup.defer('close the apps-build root', () => cli.close());
  const repo = await AptRepo.create(join(dir, 'repo'));
  stage.cleanup.defer('end the repository', () => repo.dispose());
  await repo.addDebs(...(await tinyDebs()));
  await repo.add(payload, small('1.0'));
  await repo.publish();
  const { url } = await repo.serve();
  const site = { stage, cli, dir, repo, url };
  await makeOs(site);
  const costs = new Map<Step, Cost[]>();
  for (let round = 0; round <= (stage.quick ? ROUNDS.quick : ROUNDS.full); round++) {
    for (const [step, cost] of await roundOf(site, round)) {
      costs.set(step, [...(costs.get(step) ?? []), cost]);
    }
  }
  await repo.dispose();
  await cli.close();
  rmSync(dir, { recursive: true, force: true });
  return table(costs);
}

/** The template, and the same as a tree. */
async function makeOs(site: Site): Promise<void> {
  const { cli, dir, repo, url } = site;
  const config = { suite: 'stable', variant: 'custom', repository: url, keyring: repo.keyring };
  const file = join(dir, 'os.yaml');
  writeFileSync(file, JSON.stringify({ name: 'os', ...config, packages: ['tiny-base'] }));
  await cli.run('template', 'build', file);
  await run('mmdebstrap', [...TINY, 'stable', join(dir, 'os'), repo.sourceLine(url)]);
  cpSync(repo.keyring, join(dir, 'os/usr/share/keyrings/bench.gpg'));
  const source = repo.sourceLine(url, '/usr/share/keyrings/bench.gpg');
  rmSync(join(dir, 'os/etc/apt/sources.list.d'), { recursive: true });
  mkdirSync(join(dir, 'os/etc/apt/sources.list.d'));
  writeFileSync(join(dir, 'os/etc/apt/sources.list'), `${source}\n`);
}

const TINY = ['--quiet', '--variant=custom', '--include=tiny-base'];

async function roundOf(site: Site, round: number): Promise<[Step, Cost][]> {
  const { cli, dir, repo } = site;
  const name = `app${round}`;
  const file = join(dir, `${name}.yaml`);
  const packages = PACKAGES.split(' ');
  writeFileSync(file, JSON.stringify({ kind: 'app', name, base: 'os', packages }));
  const buildNs = await timed(site, BYREF, 'template', 'build', file);
  const built = await newest(cli, name);
  const sameNs = await timed(site, BYREF, 'template', 'update', name);
  const again = await newest(cli, name);
  const same = again.number === built.number ? { bytes: 0, objects: 0 } : again;
  const next = `1.${round + 1}`;
  await repo.add(small(next));
  await repo.publish();
  const updateNs = await timed(site, BYREF, 'template', 'update', name);
  const updated = await newest(cli, name);
  const apt = await aptInCopy(site);
  const mmdebstrap = await fresh(site);
  repo.remove('bench-small', next);
  await repo.publish();
  return [
    ['build', { ns: buildNs, ...built }],
    ['same', { ns: sameNs, ...same }],
    ['update', { ns: updateNs, ...updated }],
    ['apt', apt],
    ['mmdebstrap', mmdebstrap],
  ];
}

const timed = ({ stage, cli }: Site, ...words: string[]): Promise<number> =>
  work(stage.worker, '/', ['run', ...words], cli.env);

async function newest(cli: ByrefCli, name: string) {
  const { versions } = JSON.parse(await cli.run('template', 'show', name, '--json')) as {
    versions: { number: number; addedBytes: number; addedObjects: number }[];
  };
  const last = versions.toSorted((a, b) => a.number - b.number).at(-1)!;
  return { number: last.number, bytes: last.addedBytes, objects: last.addedObjects };
}

/** As a container's image is made anew from its base. */
async function aptInCopy(site: Site): Promise<Cost> {
  const tree = join(site.dir, 'copy');
  const copied = await timed(site, '/bin/cp', '-a', join(site.dir, 'os'), tree);
  const before = await diskUsage(tree);
  const install = `apt-get -qq update && apt-get -qqy -o Dpkg::Options::=--force-unsafe-io install ${PACKAGES} && apt-get clean`;
  const clean = ['/usr/bin/env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin'];
  const ns = await timed(site, '/usr/sbin/chroot', tree, ...clean, 'sh', '-c', install);
  const bytes = (await diskUsage(tree)) - before;
  rmSync(tree, { recursive: true });
  return { ns: copied + ns, bytes, objects: null };
}

async function fresh(site: Site): Promise<Cost> {
  const { dir, repo, url } = site;
  const tree = join(dir, 'fresh');
  const include = `--include=${PACKAGES.replaceAll(' ', ',')}`;
  const words = [...TINY, include, 'stable', tree, repo.sourceLine(url)];
  const ns = await timed(site, '/usr/bin/mmdebstrap', ...words);
  const bytes = await diskUsage(tree);
  rmSync(tree, { recursive: true });
  return { ns, bytes, objects: null };
}

const diskUsage = async (dir: string): Promise<number> =>
  Number.parseInt(await run('du', ['-s', '--apparent-size', '--block-size=1', dir]), 10);

function table(costs: ReadonlyMap<Step, readonly Cost[]>): StudyTable {
  // The first round warms up.
  const timeOf = (step: Step): number =>
    median((costs.get(step) ?? []).slice(1).map(({ ns }) => ns));
  const figures: Record<string, number> = {};
  const rows = (Object.keys(STEPS) as Step[]).map((step) => {
    const ns = timeOf(step);
    // What later apps of the same packages have is there already.
    const { bytes, objects } = costs.get(step)![0]!;
    figures[`${step} ns`] = ns;
    figures[`${step} bytes`] = bytes;
    const ratios = (['apt', 'mmdebstrap'] as const).map((peer) => formatRatio(ns / timeOf(peer)));
    return [STEPS[step], formatNs(ns), ...ratios, formatBytes(bytes), objects?.toString() ?? ''];
  });
  return {
    name: 'apps-build',
    title: `An app of ${PAYLOAD.files.toLocaleString('en')} files and ${formatBytes(PAYLOAD.files * PAYLOAD.bytes)}, in two packages, from a repository on the loopback interface`,
    columns: ['what', 'time', 'to apt-get', 'to mmdebstrap', 'stored for it', 'objects'],
    rows,
    figures,
  };
}
