import { lstatSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createEnv } from '../../src/services/create-env.ts';
import { openStore } from '../../src/store/store.ts';
import { type ByrefCli, byrefCli } from '../byref-cli.ts';
import type { StudyTable } from '../results.ts';
import { formatNs, median } from '../stats.ts';
import type { Study, StudyStage } from './study.ts';

const ENVS = [1, 100];
const ROUNDS = { quick: 5, full: 15 };
/** Files that each env has of its own, made and looked at since it was mounted. */
const OWN_FILES = 50;
const SETTLE_MS = 2000;

/** How long programs wait when a driver is killed: from the signal to an answer that only the next driver can give. */
export const resume: Study = { name: 'resume', run: study };

interface Round {
  /** Nanoseconds from the signal to the first env's answer, and to that of the last one. */
  readonly firstNs: number;
  readonly allNs: number;
}

async function study(stage: StudyStage): Promise<StudyTable> {
  const rows: string[][] = [];
  const figures: Record<string, number> = {};
  for (const envs of ENVS) {
    const dir = join(stage.backing.dir, `resume-${envs}`);
    const cli = await byrefCli(dir, '--shards', '1');
    stage.cleanup.defer(`close the resume root of ${envs}`, () => cli.close());
    const names = await mountEnvs(cli, dir, envs);
    const rounds: Round[] = [];
    for (let n = 0; n < (stage.quick ? ROUNDS.quick : ROUNDS.full); n++) {
      await sleep(SETTLE_MS);
      rounds.push(killAndAsk(cli, names, n));
    }
    await cli.close();
    const first = rounds.map(({ firstNs }) => firstNs);
    const all = rounds.map(({ allNs }) => allNs);
    rows.push([
      String(envs),
      ...[first, all].flatMap((each) => [median(each), Math.max(...each)]).map(formatNs),
    ]);
    figures[`first of ${envs} ns`] = median(first);
    figures[`all of ${envs} ns`] = median(all);
  }
  return {
    name: 'resume',
    title:
      'A driver is killed with SIGKILL: from the signal to an answer of the next one (target: first answer below 300 ms)',
    columns: ['mounted envs', 'first answer', 'slowest', 'answers of all', 'slowest of all'],
    rows,
    figures,
  };
}

async function mountEnvs(cli: ByrefCli, dir: string, count: number): Promise<string[]> {
  const tree = join(dir, 'tree');
  mkdirSync(join(tree, 'etc'), { recursive: true });
  for (let i = 0; i < OWN_FILES; i++) writeFileSync(join(tree, `etc/file-${i}`), `${i}\n`);
  await cli.run('template', 'import', 'os', tree);
  const names = Array.from({ length: count }, (_, i) => `e-${i}`);
  const store = await openStore(cli.root, { write: true });
  try {
    for (const name of names) await createEnv(store, { name, os: 'os', apps: [] });
  } finally {
    await store.close();
  }
  await cli.run('mount', ...names);
  for (const name of names) {
    for (let i = 0; i < OWN_FILES; i++)
      writeFileSync(join(cli.mountDir(name), `etc/own-${i}`), `${i}\n`);
  }
  return names;
}

function killAndAsk(cli: ByrefCli, names: readonly string[], round: number): Round {
  const [driver] = cli.drivers();
  if (driver === undefined) throw new Error('no driver runs');
  const start = process.hrtime.bigint();
  process.kill(driver, 'SIGKILL');
  let firstNs = 0;
  for (const name of names) {
    // A name that nobody asked for before: the kernel has no answer of its own.
    lstatSync(join(cli.mountDir(name), `etc/none-${round}`), { throwIfNoEntry: false });
    if (firstNs === 0) firstNs = Number(process.hrtime.bigint() - start);
  }
  return { firstNs, allNs: Number(process.hrtime.bigint() - start) };
}
