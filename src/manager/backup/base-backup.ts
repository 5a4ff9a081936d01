/** The backup that an incremental one builds on: which private files it has, as they are. */
import { rmSync } from 'node:fs';
import { ByrefError } from '../../base/error.ts';
import { makeTemporaryDir } from '../../base/temporary-dir.ts';
import type { EnvRow } from '../../store/store.ts';
import { type IsKnown, type Seen, unchangedSince } from '../envs/copy-private.ts';
import { filesIn, unpackGiven } from './given-backup.ts';
import { MANIFEST_FILE, ROWS_FILE } from './manifest.ts';
import type { PrivateFile } from './rows.ts';

/** A backup to build on. */
export interface BaseBackup {
  /** Its name in itself. */
  readonly id: string;
  /** True for files that it has, or that the one has which it builds on. */
  readonly isKnown: IsKnown;
}

/** A base of what its files were. @param id its name */
export const baseOf = (
  id: string,
  files: ReadonlyMap<string, Seen>,
  trustedMs: number | null,
): BaseBackup => ({ id, isKnown: unchangedSince((name) => files.get(name), trustedMs) });

/**
 * Reads what a backup says of the env's files; not the files.
 * @throws ByrefError 'usage' if it is of another env; as unpackGiven()
 */
export async function readBase(
  file: string,
  env: EnvRow,
  signal: AbortSignal,
): Promise<BaseBackup> {
  const directory = makeTemporaryDir('base');
  try {
    const manifest = await unpackGiven(file, directory, signal, [MANIFEST_FILE, ROWS_FILE]);
    if (manifest.env.createdMs !== env.createdMs)
      throw ofAnother(file, manifest.env.name, env.name);
    const files = await sourcesIn(directory);
    const { id, trustedMs } = manifest;
    return { id, isKnown: unchangedSince((name) => files.get(name), trustedMs) };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function sourcesIn(directory: string): Promise<Map<string, PrivateFile['source']>> {
  const files = new Map<string, PrivateFile['source']>();
  for await (const { name, source } of filesIn(directory)) files.set(name, source);
  return files;
}

const ofAnother = (file: string, its: string, env: string): ByrefError =>
  new ByrefError(
    'usage',
    `${file} is a backup of ${its}, and not of this ${env}`,
    `Name one of this env, or make a whole one: byref backup ${env} FILE.`,
  );
