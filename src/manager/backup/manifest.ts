/** The manifest of a backup: what the env was, and what has to be there for it to be restored. FORMAT-backup.md describes it. */
import { ByrefError } from '../../base/error.ts';
import type { EnvSettings } from '../../codec/env-settings.ts';
import type { TemplateKind } from '../../codec/store-rows.ts';
import type { FirstMount } from '../envs/first-mount/setup.ts';

/** The format that this byref writes, and the only one that it reads. */
export const BACKUP_FORMAT = 1;
/** Names in a backup, which is a tar. */
export const MANIFEST_FILE = 'backup.json';
export const ROWS_FILE = 'delta.jsonl';
export const OBJECTS_DIR = 'objects';
export const TEMPLATES_DIR = 'templates';

/** A version of a template, named so that another machine knows it. */
export interface VersionName {
  readonly template: string;
  readonly version: number;
  /** SHA-256 of what it shows, in hex: codec/tree-identity.ts. */
  readonly identity: string;
}

/** One template of the env's stack. */
export interface StackName extends VersionName {
  readonly kind: TemplateKind;
  readonly label: string;
  /** True: the env follows the template. False: it is pinned to the version. */
  readonly follows: boolean;
  /** The file in the backup that has all of the version, as a tar; null: the backup is without it. */
  readonly file: string | null;
  /** What `template import` has to be told of the version, beside its tree. */
  readonly sharedPatterns: readonly string[];
  readonly config: string;
}

/** How much is in a backup. */
export interface BackupCounts {
  readonly names: number;
  readonly inodes: number;
  readonly files: number;
  /** Bytes of the private files, without holes. */
  readonly bytes: number;
}

/** What a backup says of itself. */
export interface BackupManifest {
  readonly format: number;
  /** Random, 32 hex digits: the name of this backup. */
  readonly id: string;
  readonly madeMs: number;
  /** The backup that this one builds on: it has only what changed since; null: it has all. */
  readonly base: string | null;
  /** When all bytes of private files were on disk, as of PrivateCopies; null: not known. */
  readonly trustedMs: number | null;
  readonly env: { readonly name: string; readonly createdMs: number };
  readonly settings: EnvSettings;
  /** What is to be done at its first mount; null: it was mounted already. */
  readonly firstMount: FirstMount | null;
  /** The OS template first. */
  readonly stack: readonly StackName[];
  /** Versions that are not in the stack, and that files of the env are from. */
  readonly versions: readonly VersionName[];
  /** Patches that set files of the env aside: their numbers, and when each began. */
  readonly patches: Readonly<Record<string, number>>;
  readonly counts: BackupCounts;
  /** For how long the env stood still, in milliseconds; null: it was stopped. */
  readonly frozenMs: number | null;
}

const IDENTITY = /^[0-9a-f]{64}$/;

/** Reads a manifest. @param from where it was found, for messages @throws ByrefError 'badInput' */
export function parseManifest(text: string, from: string): BackupManifest {
  let found: Partial<BackupManifest> | null;
  try {
    found = JSON.parse(text) as Partial<BackupManifest> | null;
  } catch (error) {
    throw noManifest(from, (error as Error).message);
  }
  if (found === null || typeof found !== 'object' || typeof found.format !== 'number')
    throw noManifest(from, 'it does not say its format');
  if (found.format !== BACKUP_FORMAT) {
    const message = `${from} has the format ${found.format} of another byref; this one reads ${BACKUP_FORMAT}`;
    throw new ByrefError('badInput', message, 'Restore it with the byref that made it.');
  }
  const { id, base, trustedMs, env, settings, stack, versions, patches, counts } = found;
  const isWhole =
    typeof id === 'string' &&
    typeof env?.name === 'string' &&
    typeof env.createdMs === 'number' &&
    (base === null || typeof base === 'string') &&
    (trustedMs === null || typeof trustedMs === 'number') &&
    isObject(settings) &&
    isObject(settings.limits) &&
    isObject(patches) &&
    isObject(counts) &&
    Array.isArray(stack) &&
    stack.length > 0 &&
    stack.every(isStackName) &&
    Array.isArray(versions) &&
    versions.every(isVersionName);
  if (!isWhole) throw noManifest(from, 'something is missing in it');
  return found as BackupManifest;
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

const isVersionName = ({ template, version, identity }: Partial<VersionName>): boolean =>
  typeof template === 'string' &&
  Number.isSafeInteger(version) &&
  typeof identity === 'string' &&
  IDENTITY.test(identity);

/** Returns true for what names a template of a stack. */
export const isStackName = (value: Partial<StackName> | null): boolean =>
  value !== null &&
  isVersionName(value) &&
  (value.kind === 'os' || value.kind === 'app') &&
  typeof value.follows === 'boolean' &&
  (value.file === null || typeof value.file === 'string') &&
  typeof value.label === 'string' &&
  Array.isArray(value.sharedPatterns) &&
  value.sharedPatterns.every((pattern) => typeof pattern === 'string') &&
  typeof value.config === 'string';

const noManifest = (from: string, why: string): ByrefError =>
  new ByrefError(
    'badInput',
    `${from} is no backup of an env: ${MANIFEST_FILE} can't be read: ${why}`,
    'Name a file that byref backup made.',
  );
