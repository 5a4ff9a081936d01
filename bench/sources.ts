import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './process.ts';
import { planTree, writeTree } from './tree.ts';

/** What the program rows read from outside the peer's root; the same for all peers. */
export interface Sources {
  /** A bare git repository of 3,000 files. */
  readonly repository: string;
  /** The same files as a tar. */
  readonly tar: string;
  readonly sqlNormal: string;
  readonly sqlFull: string;
}

/** No configuration of this machine changes what git does here. */
export const GIT_ENV = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'bench',
  GIT_AUTHOR_EMAIL: 'bench@localhost',
  GIT_COMMITTER_NAME: 'bench',
  GIT_COMMITTER_EMAIL: 'bench@localhost',
};
export const INSERTS = { normal: 2000, full: 500 };

export async function makeSources(dir: string): Promise<Sources> {
  const tree = join(dir, 'git-tree');
  const repository = join(dir, 'repository.git');
  const tar = join(dir, 'tree.tar');
  mkdirSync(dir, { recursive: true });
  writeTree(planTree({ files: 3000, median: 4500, largest: 200 * 1024 }), tree);
  await run('tar', ['-cf', tar, '-C', tree, '.']);
  const git = (...args: string[]): Promise<string> =>
    run('git', ['-C', tree, '-c', 'init.defaultBranch=main', ...args], { env: GIT_ENV });
  await git('init', '-q');
  await git('add', '-A');
  await git('commit', '-q', '-m', 'tree');
  await git('gc', '-q');
  await git('clone', '-q', '--bare', tree, repository);
  rmSync(tree, { recursive: true });
  return {
    repository,
    tar,
    sqlNormal: writeInserts(join(dir, 'normal.sql'), 'NORMAL', INSERTS.normal),
    sqlFull: writeInserts(join(dir, 'full.sql'), 'FULL', INSERTS.full),
  };
}

/** Inserts that are each a transaction of their own. */
function writeInserts(path: string, synchronous: string, count: number): string {
  const lines = [
    'PRAGMA journal_mode=WAL;',
    `PRAGMA synchronous=${synchronous};`,
    'CREATE TABLE t(id INTEGER PRIMARY KEY, at INTEGER, value TEXT);',
    ...Array.from(
      { length: count },
      (_, i) => `INSERT INTO t VALUES(${i}, 0, '${'v'.repeat(100)}');`,
    ),
  ];
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}
