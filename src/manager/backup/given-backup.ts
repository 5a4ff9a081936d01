/** Unpacks what a user names as a backup: a file, a pipe, or standard input. */
import { createReadStream, createWriteStream, existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ByrefError } from '../../base/error.ts';
import { type BackupManifest, MANIFEST_FILE, parseManifest } from './manifest.ts';
import { PackedBackup } from './pack.ts';

const HINT = 'Name a file that byref backup made, or - for standard input.';

/**
 * Checks all of a backup, and unpacks it into a directory.
 * @param file "-" is standard input
 * @param names what is to be unpacked; all, if nothing is given
 * @throws ByrefError 'notFound', 'badInput', 'corrupt', 'noSpace'
 */
export async function unpackGiven(
  file: string,
  directory: string,
  signal: AbortSignal,
  names: readonly string[] = [],
): Promise<BackupManifest> {
  const name = file === '-' ? 'what came from standard input' : file;
  const packed = new PackedBackup(name, await regular(file, directory, signal));
  try {
    packed.check();
    await packed.unpack(directory, signal, names);
  } finally {
    packed.close();
  }
  const manifest = path.join(directory, MANIFEST_FILE);
  return parseManifest(existsSync(manifest) ? readFileSync(manifest, 'utf8') : '', name);
}

/** Returns a regular file with the backup: what comes through a pipe is kept in one, since it is read more than once. */
async function regular(file: string, directory: string, signal: AbortSignal): Promise<string> {
  if (file === '-') return spool(process.stdin, directory, signal);
  const stat = file === '' ? undefined : statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) throw new ByrefError('notFound', `there is no backup "${file}"`, HINT);
  if (stat.isFile()) return file;
  if (stat.isFIFO()) return spool(createReadStream(file), directory, signal);
  throw new ByrefError('badInput', `${file} is no file`, HINT);
}

async function spool(input: Readable, directory: string, signal: AbortSignal): Promise<string> {
  const kept = path.join(directory, 'input');
  await pipeline(input, createWriteStream(kept, { mode: 0o600 }), { signal });
  return kept;
}
