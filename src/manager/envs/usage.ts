import { existsSync } from 'node:fs';
import { privateUsage } from '../../driver/delta/read-delta.ts';
import { type EnvRow, envDir, type Store } from '../../store/store.ts';
import { volumesUsage } from './volumes.ts';

/** How many bytes, and files, one env takes. */
export interface EnvUsage {
  /** The size of the env as a copy of its own: private and shared bytes together. */
  readonly apparentBytes: number;
  /** Its own bytes on disk: files that it wrote, its copies of template files, and its volumes. */
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
  const volumes = volumesUsage(store.root, row.id);
  const privateBytes = own.privateBytes + volumes.bytes;
  const privateFiles = own.privateFiles + volumes.files;
  const apparentBytes = privateBytes + sharedBytes;
  return { apparentBytes, privateBytes, privateFiles, sharedBytes, sharedFiles };
}
