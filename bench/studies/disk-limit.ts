import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { byrefCli } from '../byref-cli.ts';
import { run } from '../process.ts';
import type { StudyTable } from '../results.ts';
import { formatNs, formatRatio, median } from '../stats.ts';
import { work } from '../worker.ts';
import type { Study, StudyStage } from './study.ts';

const ROUNDS = { quick: 5, full: 15 };

/** What a limit of an env's bytes costs programs that write: with one, the kernel does not write by passthrough. */
export const diskLimit: Study = { name: 'disk-limit', run: study };

const ENVS = {
  'no limit': { settings: [], options: [] },
  limit: { settings: ['limits.disk=100GiB'], options: [] },
  'no passthrough': { settings: [], options: ['--no-passthrough'] },
} as const;
type Env = keyof typeof ENVS;

/** The loops, each with what one operation is. */
const LOOPS: Readonly<Record<string, readonly (string | number)[]>> = {
  'write of 4 KiB, sequential': ['write-seq', 'file', 4096, 16_384],
  'write of 64 KiB, sequential': ['write-seq', 'file', 65_536, 2048],
  'write of 1 MiB, sequential': ['write-seq', 'file', 1_048_576, 256],
  'write of 8 KiB, random, into a file that is open for reading, too': [
    'rewrite-pages',
    'file',
    20_000,
  ],
  'create, write of 4 KiB, close': ['create', '.', 2000],
};

async function study(stage: StudyStage): Promise<StudyTable> {
  const dir = join(stage.backing.dir, 'disk-limit');
  const cli = await byrefCli(join(dir, 'byref'));
  stage.cleanup.defer('close the disk-limit root', () => cli.close());
  const source = join(dir, 'empty');
  mkdirSync(source);
  await cli.run('template', 'import', 'empty', source);
  const envs = Object.keys(ENVS) as Env[];
  for (const [i, env] of envs.entries()) {
    const { settings, options } = ENVS[env];
    await cli.run('create', `e${i}`, '--os', 'empty');
    if (settings.length > 0) await cli.run('set', `e${i}`, ...settings);
    await cli.run('mount', `e${i}`, ...options);
  }
  const samples = new Map<string, number[]>();
  for (let round = 0; round <= (stage.quick ? ROUNDS.quick : ROUNDS.full); round++) {
    for (const [name, loop] of Object.entries(LOOPS)) {
      for (let turn = 0; turn < envs.length; turn++) {
        const i = (turn + round) % envs.length;
        const mountpoint = cli.mountDir(`e${i}`);
        const ns = await work(stage.worker, mountpoint, loop);
        await run('bash', ['-c', 'rm -f "$1"/*; sync', 'sh', mountpoint]);
        const key = `${name}, ${envs[i]!}`;
        if (round > 0) samples.set(key, [...(samples.get(key) ?? []), ns]);
      }
    }
  }
  return table(samples);
}

function table(samples: ReadonlyMap<string, number[]>): StudyTable {
  const of = (loop: string, env: Env): number => median(samples.get(`${loop}, ${env}`) ?? []);
  const ratio = (loop: string, env: Env): string =>
    formatRatio(of(loop, env) / of(loop, 'no limit'));
  const rows = Object.keys(LOOPS).map((loop) => [
    loop,
    formatNs(of(loop, 'no limit')),
    ratio(loop, 'limit'),
    ratio(loop, 'no passthrough'),
  ]);
  return {
    name: 'disk-limit',
    title: 'What a limit of bytes costs a program that writes',
    columns: ['one operation', 'no limit', 'with a limit', 'without passthrough'],
    rows,
    figures: Object.fromEntries([...samples].map(([name, all]) => [`${name} ns`, median(all)])),
  };
}
