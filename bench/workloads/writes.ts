import { type CopyUpLabel, copyUpPaths, PATHS } from '../fixture.ts';
import type { Place, Workload } from './workload.ts';

const FILES = 2000;

/** What was written before is not to be written back while this is measured. */
const settle = (at: Place): Promise<string> => at.run('sync', '-f', at.backing.dir);

/** Makes files, then removes them, and measures one of the two. */
async function createOrUnlink(at: Place, measured: 'create' | 'unlink'): Promise<number> {
  const dir = `${PATHS.scratch}/files`;
  await at.run('mkdir', dir);
  await settle(at);
  const created = await at.work('create', dir, at.scale(FILES));
  const removed = await at.work('unlink', dir, at.scale(FILES));
  await at.run('rmdir', dir);
  return measured === 'create' ? created : removed;
}

/**
 * The first write to a template file. The plain peer has none: there it is the least that any copy-up
 * must do, a copy_file_range into a new file and the same write.
 */
const copyUp = (label: CopyUpLabel, title: string, ms: number, rounds: number): Workload => ({
  name: `copy-up-${label}`,
  title: `copy-up of ${title} (first write)`,
  target: { ms },
  reflinkTarget: { ms: 1 },
  rounds,
  fresh: true,
  copyUp: true,
  sample: async (at) => {
    await settle(at);
    const paths = copyUpPaths(label);
    // Its bytes are in memory, as those of a file that is about to be changed mostly are.
    await at.work('run', 'cat', ...paths);
    return at.work(at.copiesOnWrite ? 'first-write' : 'copy-write', ...paths);
  },
});

/** Changing things. */
export const writesWorkloads: readonly Workload[] = [
  {
    name: 'create',
    title: 'create + write 4 KiB + close',
    target: { plain: 4 },
    rounds: 7,
    sample: (at) => createOrUnlink(at, 'create'),
  },
  {
    name: 'unlink',
    title: 'unlink',
    target: { plain: 3 },
    rounds: 7,
    sample: (at) => createOrUnlink(at, 'unlink'),
  },
  {
    name: 'replace',
    title: 'create + write 4 KiB + close + rename over',
    rounds: 7,
    sample: async (at) => {
      const dir = `${PATHS.scratch}/replaced`;
      await at.run('mkdir', dir);
      await settle(at);
      const sample = await at.work('replace', dir, at.scale(FILES));
      await at.run('rmdir', dir);
      return sample;
    },
  },
  copyUp('4k', '4 KiB', 0.3, 5),
  copyUp('1m', '1 MiB', 0.8, 5),
  copyUp('256m', '256 MiB', 90, 3),
  {
    name: 'write-fsync',
    title: 'sequential write of 64 MiB + fsync',
    target: { plain: 1.05 },
    rounds: 5,
    sample: async (at) => {
      await settle(at);
      return at.work('write-fsync', `${PATHS.scratch}/written`, 64);
    },
  },
];
