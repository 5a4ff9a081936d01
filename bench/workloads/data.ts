import { dropCaches } from '../drop-caches.ts';
import { PATHS } from '../fixture.ts';
import type { Workload } from './workload.ts';

/** Reading and executing. Figures of large files are for the whole file. */
export const dataWorkloads: readonly Workload[] = [
  {
    name: 'read-all-warm',
    title: 'open + read of all files, warm, per file',
    target: { plain: 3.5 },
    rounds: 5,
    sample: (at) => at.work('read-list', at.fixture.list, 'warm'),
  },
  {
    name: 'read-all-cold',
    title: 'open + read of all files, cold, per file',
    target: { plain: 1.5 },
    rounds: 3,
    sample: async (at) => {
      await dropCaches('all');
      return at.work('read-list', at.fixture.list);
    },
  },
  {
    name: 'read-seq',
    title: 'sequential read, 64 MiB in /usr, warm',
    target: { plain: 1.05 },
    rounds: 7,
    sample: (at) => at.work('read-seq', PATHS.sharedLarge, at.scale(10), 'warm'),
  },
  {
    name: 'read-seq-cold',
    title: 'sequential read, 64 MiB in /usr, cold',
    rounds: 5,
    sample: async (at) => {
      await dropCaches('all');
      return at.work('read-seq', PATHS.sharedLarge, 1);
    },
  },
  {
    name: 'read-seq-coherent',
    title: 'sequential read, 64 MiB in /srv, warm',
    rounds: 7,
    sample: (at) => at.work('read-seq', PATHS.coherentLarge, at.scale(10), 'warm'),
  },
  {
    name: 'read-random',
    title: 'random 4 KiB reads, 64 MiB in /usr, warm',
    target: { plain: 1.05 },
    rounds: 7,
    sample: (at) => at.work('read-random', PATHS.sharedLarge, at.scale(100_000)),
  },
  {
    name: 'read-mapped',
    title: 'mmap read, 64 MiB in /usr, warm',
    target: { plain: 1.05 },
    rounds: 7,
    sample: (at) => at.work('read-mapped', PATHS.sharedLarge, at.scale(20)),
  },
  {
    name: 'exec',
    title: 'exec of a static program',
    target: { plain: 1.2 },
    rounds: 7,
    sample: (at) => at.work('exec', PATHS.nothing, at.scale(300)),
  },
];
