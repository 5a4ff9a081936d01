import { createHash } from 'node:crypto';
import { type Ino, type Name, nameFromText, type ObjectId } from '../../src/base/ids.ts';
import { O_CLOEXEC, S_IFREG } from '../../src/base/mode.ts';
import { DATA_PRIVATE } from '../../src/codec/inode-record.ts';
import type { EnvDelta } from '../../src/driver/delta/env-delta.ts';
import { type OpenDeltaOptions, openDelta } from '../../src/driver/delta/open-delta.ts';
import { AT_FDCWD, native } from '../../src/native/binding.ts';
import { inode } from '../support/trees/inode-record.ts';

export { inode };

/** A checkpoint comes only when a test asks for one. */
export const NEVER_MS = 1_000_000_000;

export const name = (text: string): Name => nameFromText(text);
export const ino = (number: number): Ino => number as Ino;

const objects = new Map<ObjectId, string>();

/** Makes a file an object: in these tests its id is the hash of its path. */
export function objectOf(file: string): ObjectId {
  const id = createHash('sha256').update(file).digest('hex') as ObjectId;
  objects.set(id, file);
  return id;
}

export const openObject = (id: ObjectId): number =>
  native.openAt(AT_FDCWD, objects.get(id) ?? '/nonexistent', O_CLOEXEC, 0);

export function open(dir: string, options: Partial<OpenDeltaOptions> = {}): Promise<EnvDelta> {
  return openDelta(dir, { openObject, checkpointMs: NEVER_MS, ...options });
}

/** Creates an empty private file with a name, as the filesystem core does; its ino. */
export function createFile(delta: EnvDelta, dir: Ino, text: string): Ino {
  const number = delta.allocate();
  const fd = delta.files.createPrivate(number);
  if (fd < 0) throw new Error(`createPrivate: errno ${-fd}`);
  delta.files.close(fd);
  const change = delta.begin();
  change.setName(dir, name(text), number, S_IFREG);
  change.setInode(inode(number, { data: DATA_PRIVATE }));
  change.setInode(inode(dir, { nlink: 2 }));
  const failed = delta.commit();
  if (failed < 0) throw new Error(`commit: errno ${-failed}`);
  return number;
}
