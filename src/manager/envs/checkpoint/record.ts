/**
 * The files of a checkpoint: a directory with
 *
 *     checkpoint.json   what it is of (CheckpointRecord); the last file that is made
 *     processes/        CRIU's images
 *
 * The env's own directory says, in `asleep`, which checkpoint goes on with the files as they are now. Whoever mounts the env otherwise
 * removes that: its files may change then, and the processes would find others than they had.
 */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../../base/error.ts';
import { envDir } from '../../../store/store.ts';
import type { PlaceOnBridge } from '../network/bridge.ts';

/** The version of all this. */
const FORMAT = 1;
const RECORD = 'checkpoint.json';
const MARK = 'asleep';
const ID = /^[0-9a-f]{32}$/;

/** What a checkpoint is of. */
export interface CheckpointRecord {
  readonly format: number;
  /** A random number, in hexadecimal. */
  readonly id: string;
  /** The env's name, for people. */
  readonly env: string;
  /** The versions of templates that its files come from, by identity, bottom first. */
  readonly stack: readonly string[];
  /** Its place on the bridge; null if it has no network of its own there. */
  readonly network: PlaceOnBridge | null;
  readonly isSystemd: boolean;
  readonly processes: number;
  /** ISO 8601, UTC. */
  readonly made: string;
}

export const imagesIn = (directory: string): string => path.join(directory, 'processes');

/** Makes the directory. Returns true if it was not there. @throws ByrefError 'usage' if something else is there */
export function makeCheckpointDir(directory: string): boolean {
  const found = lstatSync(directory, { throwIfNoEntry: false });
  const isFree =
    found === undefined || (found.isDirectory() && readdirSync(directory).length === 0);
  if (!isFree)
    throw new ByrefError('usage', `${directory} is there already`, 'Name a directory that is not.');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return found === undefined;
}

/** Removes a checkpoint that did not come about. */
export function removeCheckpoint(directory: string): void {
  for (const each of [path.join(directory, RECORD), imagesIn(directory)])
    rmSync(each, { recursive: true, force: true });
}

/** Returns how much the files of a checkpoint hold, in bytes. */
export const checkpointBytes = (directory: string): number =>
  readdirSync(imagesIn(directory))
    .map((name) => lstatSync(path.join(imagesIn(directory), name)).size)
    .reduce((sum, size) => sum + size, 0);

export const writeRecord = (directory: string, record: Omit<CheckpointRecord, 'format'>): void =>
  writeFileSync(
    path.join(directory, RECORD),
    `${JSON.stringify({ format: FORMAT, ...record })}\n`,
    {
      mode: 0o600,
    },
  );

/** Returns true for a record that has all that it needs, whoever wrote it. */
export function isRecord(value: Partial<CheckpointRecord>): value is CheckpointRecord {
  const { id, stack, network } = value;
  const isPlace =
    network === null || (typeof network?.address === 'string' && typeof network.mac === 'string');
  return typeof id === 'string' && ID.test(id) && isPlace && isTexts(stack);
}

const isTexts = (value: unknown): boolean =>
  Array.isArray(value) && value.every((each) => typeof each === 'string');

/** Reads what a checkpoint is of. @throws ByrefError 'notFound', 'badInput' if it is none that this byref knows */
export function readRecord(directory: string): CheckpointRecord {
  const file = path.join(directory, RECORD);
  if (!existsSync(file))
    throw new ByrefError(
      'notFound',
      `${directory} holds no checkpoint`,
      'Make one: byref checkpoint ENV DIR.',
    );
  try {
    const record = JSON.parse(readFileSync(file, 'utf8')) as CheckpointRecord;
    if (record.format === FORMAT && isRecord(record)) return record;
  } catch {
    // As below.
  }
  throw new ByrefError(
    'badInput',
    `${file} is no checkpoint of this byref`,
    'Start the env without it.',
  );
}

/**
 * Lets everybody read the images who gets to them: only root does, by the directory above. CRIU opens them as three users: the machine's root, the
 * same in the env's user namespace, and the env's root.
 */
export function openImages(directory: string): void {
  const images = imagesIn(directory);
  for (const name of readdirSync(images)) chmodSync(path.join(images, name), 0o644);
  chmodSync(images, 0o755);
}

const markOf = (root: string, env: number): string => path.join(envDir(root, env), MARK);

/** Notes that an env goes on from a checkpoint, unless it is mounted before. */
export const markAsleep = (root: string, env: number, id: string): void =>
  writeFileSync(markOf(root, env), id, { mode: 0o600 });

/** Returns the checkpoint that an env goes on from; null if there is none. */
export function asleepFrom(root: string, env: number): string | null {
  try {
    return readFileSync(markOf(root, env), 'utf8');
  } catch {
    return null;
  }
}

/** Forgets it. */
export const forgetAsleep = (root: string, env: number): void =>
  rmSync(markOf(root, env), { force: true });
