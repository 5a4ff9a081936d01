/** The files that a patch prepares in an env's directory before it moves the env: merges, and steps. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { type FileAction, type PatchRecord, patchOfFile } from '../../codec/patch-record.ts';
import { type EnvRow, envDir, type Store } from '../../store/store.ts';

/** Removes prepared files that are in place, or will not be used. An action that is to be tried again still needs its file. */
export function removePrepared(
  store: Store,
  row: EnvRow,
  before: readonly FileAction[],
  after: readonly FileAction[],
): void {
  const directory = envDir(store.root, row.id);
  before.forEach(({ file }, i) => {
    if (file !== undefined && after[i]?.done) rmSync(path.join(directory, file), { force: true });
  });
}

/**
 * Removes what a patch has prepared in any env, but for the files of actions that are not done. A process that was killed
 * before its move was committed has left files that no record names.
 */
export function removeAllPrepared(store: Store, { id, envs }: PatchRecord): void {
  const needed = new Map(envs.map((env) => [env.id, new Set(env.acts.map(({ file }) => file))]));
  for (const env of store.envs()) {
    const directory = envDir(store.root, env.id);
    for (const file of existsSync(directory) ? readdirSync(directory) : []) {
      if (patchOfFile(file) !== id || needed.get(env.id)?.has(file)) continue;
      rmSync(path.join(directory, file), { force: true });
    }
  }
}
