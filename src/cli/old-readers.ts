import type { EnvReaders } from '../manager/upkeep/fsck/report.ts';

/** Says in which envs programs go on reading damaged files that they have open, and what ends that. */
export const oldReaderLines = (readers: readonly EnvReaders[]): string[] =>
  readers.map(
    ({ env, files }) =>
      `env ${env} has ${files === 1 ? 'a file' : `${files} files`} open as ${files === 1 ? 'it was' : 'they were'} before the repair: byref restart ${env}`,
  );
