import { existsSync } from 'node:fs';
import { privateUsage } from '../../driver/delta/read-delta.ts';
import { type EnvRow, envDir, type Store } from '../../store/store.ts';

/** How many bytes, and files, one env takes. */
export interface EnvUsage {
  /** The size of the env as a copy of its own: private and shared bytes together. */
  readonly apparentBytes: number;
  /** Its own bytes on disk: files that it wrote, and its copies of template files. */
  readonly privateBytes: number;
  readonly privateFiles: number;
  /** All files of its templates, at the versions that it sees; stored once for all envs. */
  readonly sharedBytes: number;
  readonly sharedFiles: number;
}

/** Sums up an env's usage. Costs one stat per private file; the size of the templates does not matter. */
export function envUsage(store: Store, row: EnvRow): EnvUsage {
  let sharedBytes = 0;
  let sharedFiles = 0;
  for (const { templateId, version } of store.resolveStack(row)) {
    const found = store.catalog.version(templateId, version);
    sharedBytes += found?.bytes ?? 0;
    sharedFiles += found?.files ?? 0;
  }
  const directory = envDir(store.root, row.id);
  const own = existsSync(directory)
    ? privateUsage(directory)
    : { privateBytes: 0, privateFiles: 0 };
  return { ...own, apparentBytes: own.privateBytes + sharedBytes, sharedBytes, sharedFiles };
}
