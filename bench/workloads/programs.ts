import { dropCaches } from '../drop-caches.ts';
import { PATHS } from '../fixture.ts';
import { INSERTS } from '../sources.ts';
import type { Place, Workload } from './workload.ts';

const CLONE = `${PATHS.scratch}/clone`;

/** Runs a program that makes `path`, measured, then removes the path. */
async function making(at: Place, path: string, ...command: string[]): Promise<number> {
  await at.run('sync', '-f', at.backing.dir);
  const ns = await at.work('run', ...command);
  await at.run('rm', '-rf', path);
  return ns;
}

async function inserts(at: Place, script: string, count: number): Promise<number> {
  const dir = `${PATHS.scratch}/sqlite`;
  await at.run('mkdir', dir);
  return (await making(at, dir, 'sqlite3', '-bail', `${dir}/db`, `.read ${script}`)) / count;
}

/** A clone to ask the status of; the second status writes the index, later ones only read. */
async function cloneOnce(at: Place): Promise<void> {
  await at.run('rm', '-rf', CLONE);
  await at.run('git', 'clone', '-q', '--no-hardlinks', at.sources.repository, CLONE);
  await at.run('sleep', '1.1');
  for (let i = 0; i < 2; i++) await at.run('git', '-C', CLONE, 'status', '--porcelain');
}

const status = (at: Place): Promise<number> =>
  at.work('run', 'git', '-C', CLONE, 'status', '--porcelain');

/** Real programs, whole runs. */
export const programsWorkloads: readonly Workload[] = [
  {
    name: 'untar',
    title: 'untar of 3,000 files',
    rounds: 5,
    sample: async (at) => {
      const dir = `${PATHS.scratch}/untar`;
      await at.run('mkdir', dir);
      return making(at, dir, 'tar', '-xf', at.sources.tar, '-C', dir);
    },
  },
  {
    name: 'git-clone',
    title: 'git clone of 3,000 files',
    target: { plain: 1.8 },
    rounds: 5,
    sample: (at) => {
      const dir = `${PATHS.scratch}/new-clone`;
      return making(at, dir, 'git', 'clone', '-q', '--no-hardlinks', at.sources.repository, dir);
    },
  },
  {
    name: 'git-status-warm',
    title: 'git status, warm',
    target: { plain: 1.4 },
    rounds: 7,
    prepare: cloneOnce,
    sample: async (at) => {
      await status(at);
      return status(at);
    },
  },
  {
    name: 'git-status-cold',
    title: 'git status, cold dentries',
    target: { plain: 3 },
    rounds: 5,
    prepare: cloneOnce,
    sample: async (at) => {
      await dropCaches('dentries');
      return status(at);
    },
  },
  {
    name: 'sqlite',
    title: 'SQLite WAL, one insert (synchronous=NORMAL)',
    target: { plain: 1.1 },
    rounds: 5,
    sample: (at) => inserts(at, at.sources.sqlNormal, INSERTS.normal),
  },
  {
    name: 'sqlite-full',
    title: 'SQLite WAL, one insert (synchronous=FULL)',
    target: { plain: 1.1 },
    rounds: 5,
    sample: (at) => inserts(at, at.sources.sqlFull, INSERTS.full),
  },
];
