/** Unpacks what a user names as a backup: a file, a pipe, or standard input. */
import {
  createReadStream,
  createWriteStream,
  existsSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ByrefError } from '../../base/error.ts';
import { PRIVATE_DIR } from '../../driver/delta/layout.ts';
import { type BackupManifest, MANIFEST_FILE, parseManifest, ROWS_FILE } from './manifest.ts';
import { PackedBackup } from './pack.ts';
import { rowLines } from './row-lines.ts';
import { decodeRow, type PrivateFile } from './rows.ts';

const HINT = 'Name a file that byref backup made, or - for standard input.';

/**
 * Checks all of a backup, and unpacks it into a directory.
 * @param file "-" is standard input; or what comes from somewhere else
 * @param names what is to be unpacked; all, if nothing is given
 * @throws ByrefError 'notFound', 'badInput', 'corrupt', 'noSpace'
 */
export async function unpackGiven(
  file: string | Readable,
  directory: string,
  signal: AbortSignal,
  names: readonly string[] = [],
): Promise<BackupManifest> {
  const packed = await openGiven(file, directory, signal);
  try {
    return await unpackInto(packed, directory, signal, names);
  } finally {
    packed.close();
  }
}

/** A backup that another one builds on, open, of which only what is said of its files is unpacked. */
export class GivenBase {
  readonly manifest: BackupManifest;
  readonly directory: string;
  private readonly packed: PackedBackup;

  private constructor(packed: PackedBackup, directory: string, manifest: BackupManifest) {
    this.packed = packed;
    this.directory = directory;
    this.manifest = manifest;
  }

  /** Checks all of it. @throws as unpackGiven() */
  static async open(file: string, directory: string, signal: AbortSignal): Promise<GivenBase> {
    const packed = await openGiven(file, directory, signal);
    try {
      const manifest = await unpackInto(packed, directory, signal, [MANIFEST_FILE, ROWS_FILE]);
      return new GivenBase(packed, directory, manifest);
    } catch (error) {
      packed.close();
      throw error;
    }
  }

  /** Unpacks those of some private files that it has, and takes their names out. @throws as unpackGiven() */
  async unpackFiles(wanted: Set<string>, signal: AbortSignal): Promise<void> {
    const found: string[] = [];
    for await (const { name, inBase } of filesIn(this.directory))
      if (!inBase && wanted.delete(name)) found.push(`${PRIVATE_DIR}/${name}\n`);
    if (found.length === 0) return;
    const list = path.join(this.directory, 'wanted');
    writeFileSync(list, found.join(''));
    await this.packed.unpack(this.directory, signal, [], list);
  }

  close(): void {
    this.packed.close();
  }
}

/** Yields what the rows of a backup say of private files. @param directory where it is unpacked @throws ByrefError 'badInput' */
export async function* filesIn(directory: string): AsyncGenerator<PrivateFile> {
  for await (const { line, at } of rowLines(directory)) {
    const row = decodeRow(line, at);
    if (row.kind === 'inode' && row.file !== null) yield row.file;
  }
}

async function unpackInto(
  packed: PackedBackup,
  directory: string,
  signal: AbortSignal,
  names: readonly string[],
): Promise<BackupManifest> {
  await packed.unpack(directory, signal, names);
  const manifest = path.join(directory, MANIFEST_FILE);
  return parseManifest(existsSync(manifest) ? readFileSync(manifest, 'utf8') : '', packed.name);
}

/** Opens a backup, and compares all of it with its sums. */
async function openGiven(
  file: string | Readable,
  directory: string,
  signal: AbortSignal,
): Promise<PackedBackup> {
  const name = nameOf(file);
  const packed = new PackedBackup(name, await regular(file, directory, signal));
  try {
    await packed.check();
    return packed;
  } catch (error) {
    packed.close();
    throw error;
  }
}

function nameOf(file: string | Readable): string {
  if (typeof file !== 'string') return 'what was received';
  return file === '-' ? 'what came from standard input' : file;
}

/** Returns a regular file with the backup: what comes through a pipe is kept in one, since it is read more than once. */
async function regular(
  file: string | Readable,
  directory: string,
  signal: AbortSignal,
): Promise<string> {
  if (typeof file !== 'string') return spool(file, directory, signal);
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
