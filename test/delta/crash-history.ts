/** A fixed history of changes, and what an env must hold after any number of its steps. */
import type { Ino, Name, ObjectId } from '../../src/base/ids.ts';
import { nameFromText, ROOT_INO } from '../../src/base/ids.ts';
import { S_IFREG } from '../../src/base/mode.ts';
import { DATA_PRIVATE, FLAG_UNSYNCED } from '../../src/codec/inode-record.ts';
import type { EnvDelta } from '../../src/driver/delta/env-delta.ts';
import { native } from '../../src/native/binding.ts';
import { inode } from '../support/trees/inode-record.ts';

export const STEPS = 20;
export const OBJECT = 'ab'.repeat(32) as ObjectId;
export const OBJECT_SIZE = 10_000;
const TEMPLATE_INO = 500;

const fileName = (step: number): Name => nameFromText(`file-${step}`);

/** Files made by step s are named file-s; step kinds repeat: create, create, copy-up, remove. */
const kindOf = (step: number): 'create' | 'copy' | 'remove' =>
  step % 4 === 3 ? 'remove' : step % 4 === 2 ? 'copy' : 'create';

export async function historyStep(delta: EnvDelta, step: number): Promise<void> {
  const kind = kindOf(step);
  if (kind === 'create') create(delta, step);
  else if (kind === 'copy') await copy(delta, step);
  else remove(delta, step - 3);
}

function create(delta: EnvDelta, step: number): void {
  const number = delta.allocate();
  const fd = delta.files.createPrivate(number);
  must(fd);
  must(native.pwrite(fd, Buffer.from(`bytes of ${step}`), 0, 9, 0));
  delta.files.close(fd);
  setFile(delta, step, number, 0, '');
}

async function copy(delta: EnvDelta, step: number): Promise<void> {
  const number = (TEMPLATE_INO + step) as Ino;
  must(await delta.files.copyUp(OBJECT, number, OBJECT_SIZE, () => false));
  setFile(delta, step, number, FLAG_UNSYNCED, OBJECT);
}

function setFile(
  delta: EnvDelta,
  step: number,
  number: Ino,
  flags: number,
  object: ObjectId | '',
): void {
  const change = delta.begin();
  change.setName(ROOT_INO, fileName(step), number, S_IFREG);
  change.setInode(inode(number, { data: DATA_PRIVATE, flags, object, uid: step }));
  change.setInode(inode(ROOT_INO, { nlink: 2, uid: step }));
  must(delta.commit());
}

/** As unlink of a file that is open (an orphan), and then its close. */
function remove(delta: EnvDelta, step: number): void {
  const number = delta.name(ROOT_INO, fileName(step))?.ino as Ino;
  const record = delta.inode(number);
  if (record === null) throw new Error(`no record of file-${step}`);
  delta.begin().clearName(ROOT_INO, fileName(step));
  delta.setInode({ ...record, nlink: 0 });
  must(delta.commit());
  delta.begin().clearInode(number);
  must(delta.commit());
  must(delta.files.removePrivate(number));
}

function must(result: number): void {
  if (result < 0) throw new Error(`errno ${-result}`);
}

/** Which files there are after `count` steps, by the step that made them. */
export function filesAfter(count: number): number[] {
  const files = new Set<number>();
  for (let step = 0; step < count; step++) {
    if (kindOf(step) === 'remove') files.delete(step - 3);
    else files.add(step);
  }
  return [...files];
}

/** The steps whose files the env has; throws if name, record or bytes of one do not agree. */
export function filesIn(delta: EnvDelta): number[] {
  const steps: number[] = [];
  for (const entry of delta.list(ROOT_INO, 0, 1000)) {
    const step = Number(entry.name.slice('file-'.length));
    const record = delta.inode(entry.ino as Ino);
    if (record?.uid !== step) throw new Error(`${entry.name}: another record`);
    checkBytes(delta, record.ino, kindOf(step) === 'copy' ? OBJECT_SIZE : 9, entry.name);
    steps.push(step);
  }
  return steps.sort((a, b) => a - b);
}

function checkBytes(delta: EnvDelta, number: Ino, size: number, name: Name): void {
  const stat = {
    size: -1,
    blocks: 0,
    atime: 0,
    atimeNs: 0,
    mtime: 0,
    mtimeNs: 0,
    ctime: 0,
    ctimeNs: 0,
  };
  const failed = delta.files.statPrivate(number, stat);
  if (failed < 0 || stat.size !== size) throw new Error(`${name}: errno ${-failed}, ${stat.size}`);
}
