import { chmodSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BYREF, byrefCli } from '../byref-cli.ts';
import { startDaemon } from '../daemon.ts';
import { run } from '../process.ts';
import type { StudyTable } from '../results.ts';
import { formatNs, formatRatio, median } from '../stats.ts';
import { work } from '../worker.ts';
import type { Study, StudyStage } from './study.ts';

const ROUNDS = { quick: 15, full: 50 };
const NODE = 'node -e 0';

/** How long commands take that a running daemon answers, against a bare Node. */
export const client: Study = { name: 'client', run: study };

async function study(stage: StudyStage): Promise<StudyTable> {
  const dir = join(stage.backing.dir, 'client');
  chmodSync(dirname(stage.backing.dir), 0o711);
  const cli = await byrefCli(dir);
  stage.cleanup.defer('close the client root', () => cli.close());
  const tree = join(dir, 'tree');
  for (const name of ['bin', 'etc', 'dev', 'proc', 'sys', 'run', 'tmp'])
    mkdirSync(join(tree, name), { recursive: true });
  await run('cp', [stage.worker.nothing, join(tree, 'bin/nothing')]);
  await cli.run('template', 'import', 'os', tree, '--kind', 'os');
  await cli.run('create', 'web', '--os', 'os');
  await cli.run('set', 'web', 'network=none');
  await startDaemon(stage, cli.env);
  await cli.run('start', 'web');
  stage.cleanup.defer('stop the client env', async () => {
    await cli.run('stop', '--all', '--fast');
  });
  const commands: Record<string, readonly string[]> = {
    [NODE]: [process.execPath, '-e', '0'],
    'byref list': [BYREF, 'list'],
    'byref info': [BYREF, 'info', 'web'],
    'byref exec': [BYREF, 'exec', 'web', '--', '/bin/nothing'],
    'byref start (runs already)': [BYREF, 'start', 'web'],
    'byref stop and start': ['/bin/sh', '-c', `"${BYREF}" stop --fast web && "${BYREF}" start web`],
    // What byref exec can't do without.
    'runc exec': ['runc', '--root', runtimeState(cli.env), 'exec', 'env-1', '/bin/nothing'],
  };
  const samples = new Map<string, number[]>();
  for (let round = 0; round <= (stage.quick ? ROUNDS.quick : ROUNDS.full); round++) {
    for (const [name, command] of Object.entries(commands)) {
      const ns = await work(stage.worker, '/', ['run', ...command], cli.env);
      if (round > 0) samples.set(name, [...(samples.get(name) ?? []), ns]);
    }
  }
  const base = median(samples.get(NODE) ?? []);
  const medians = [...samples].map(([name, all]) => ({ name, ns: median(all) }));
  return {
    name: 'client',
    title:
      'Commands that a running daemon answers (target: 0.3 x node -e 0; exec: beside what runc itself takes)',
    columns: ['command', 'median', 'ratio'],
    rows: medians.map(({ name, ns }) => [name, formatNs(ns), formatRatio(ns / base)]),
    figures: Object.fromEntries(medians.map(({ name, ns }) => [`${name} ns`, ns])),
  };
}

/** Returns the directory in which runc keeps what it knows of the root's envs. */
function runtimeState({ BYREF_RUN = '' }: Readonly<Record<string, string>>): string {
  const key = readdirSync(BYREF_RUN).find((name) => existsSync(join(BYREF_RUN, name, 'runtime')));
  return join(BYREF_RUN, key ?? '', 'runtime');
}
