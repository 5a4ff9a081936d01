import { rmSync } from 'node:fs';
import { makeTemporaryDir } from '../base/temporary-dir.ts';
import { unpackGiven } from '../manager/backup/given-backup.ts';
import { MANIFEST_FILE, ROWS_FILE, type StackName } from '../manager/backup/manifest.ts';
import { rowLines } from '../manager/backup/row-lines.ts';
import { decodeRow } from '../manager/backup/rows.ts';

/** What a backup is; that it is given says that it is whole. */
export interface BackupVerified {
  readonly file: string;
  /** The name of the backup. */
  readonly backup: string;
  /** The backup that it builds on: it has only what changed since. null: it has all. */
  readonly base: string | null;
  /** The env that it was made of. */
  readonly name: string;
  /** When it was made. ISO 8601, UTC. */
  readonly made: string;
  readonly stack: readonly Pick<StackName, 'template' | 'version' | 'identity'>[];
  /** True if the versions of its stack are in it. */
  readonly withTemplates: boolean;
  readonly names: number;
  readonly inodes: number;
  readonly files: number;
  /** Bytes of its files. */
  readonly bytes: number;
}

/**
 * Reads all of a backup, compares it with its sums, and reads its rows. It needs no root.
 * @param file "-" is standard input
 * @throws ByrefError 'notFound', 'badInput', 'corrupt' with the place of what is damaged
 */
export async function verifyBackup(file: string, signal: AbortSignal): Promise<BackupVerified> {
  const directory = makeTemporaryDir('verify');
  try {
    const manifest = await unpackGiven(file, directory, signal, [MANIFEST_FILE, ROWS_FILE]);
    for await (const { line, at } of rowLines(directory)) decodeRow(line, at);
    const { id, base, env, madeMs, stack, counts } = manifest;
    return {
      ...{ file, backup: id, base, name: env.name, made: new Date(madeMs).toISOString() },
      stack: stack.map(({ template, version, identity }) => ({ template, version, identity })),
      withTemplates: stack.every((each) => each.file !== null),
      ...counts,
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}
