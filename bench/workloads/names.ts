import { dropCaches } from '../drop-caches.ts';
import { PATHS, TREE_TOPS } from '../fixture.ts';
import type { Place, Target, Workload } from './workload.ts';

const cold =
  (command: string) =>
  async (at: Place): Promise<number> => {
    await dropCaches('dentries');
    return at.work(command, 'cold', ...TREE_TOPS);
  };

const walk = (name: string, title: string, warm: Target, coldTarget: Target): Workload[] => [
  {
    name: `${name}-warm`,
    title: `${title}, warm`,
    target: warm,
    rounds: 7,
    sample: (at) => at.work(name, 'warm', ...TREE_TOPS),
  },
  {
    name: `${name}-cold`,
    title: `${title}, cold dentries`,
    target: coldTarget,
    rounds: 5,
    sample: cold(name),
  },
];

/** Names and attributes. */
export const namesWorkloads: readonly Workload[] = [
  {
    name: 'stat',
    title: 'stat of one file, warm',
    rounds: 7,
    sample: (at) => at.work('stat', at.fixture.sample, at.scale(200_000)),
    floor: (at) => at.work('stat', 'file1', at.scale(200_000)),
  },
  {
    name: 'stat-missing',
    title: 'stat of a name that is not there, warm',
    rounds: 7,
    sample: (at) => at.work('stat-missing', 'usr/no-such-name', at.scale(200_000)),
    floor: (at) => at.work('stat-missing', 'no-such-name', at.scale(200_000)),
  },
  {
    name: 'stat-all',
    title: 'stat of all files, warm',
    target: { plain: 1.3 },
    rounds: 7,
    sample: (at) => at.work('stat-list', at.fixture.list, 'warm'),
  },
  ...walk('walk', 'tree walk (names)', { plain: 1.3 }, { plain: 2.5 }),
  ...walk('walk-stat', 'tree walk with stat', { plain: 1.3 }, { plain: 2.5 }),
  {
    name: 'open-close',
    title: 'open + close, warm',
    target: { floor: 1.3 },
    rounds: 7,
    sample: (at) => at.work('open-close', at.fixture.sample, at.scale(20_000)),
    floor: (at) => at.work('open-close', 'file1', at.scale(20_000)),
  },
  {
    name: 'rename-dir',
    title: 'rename of a template directory with 1,000 files',
    target: { ms: 0.2 },
    rounds: 5,
    fresh: true,
    sample: async (at) => {
      const moved = `${PATHS.wideDir}-moved`;
      const ns = await at.work('rename', PATHS.wideDir, moved);
      if (!at.copiesOnWrite) await at.run('mv', moved, PATHS.wideDir);
      return ns;
    },
  },
];
