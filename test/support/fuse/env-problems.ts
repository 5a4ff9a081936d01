import { existsSync } from 'node:fs';
import path from 'node:path';
import { type Ino, isPrivateIno, type Name, ROOT_INO } from '../../../src/base/ids.ts';
import { isDir, isReg } from '../../../src/base/mode.ts';
import { DATA_PRIVATE } from '../../../src/codec/inode-record.ts';
import type { LowerTree } from '../../../src/driver/core/ports.ts';
import { SAVED_INO } from '../../../src/driver/core/set-aside.ts';
import { privateName } from '../../../src/driver/delta/layout.ts';
import type { DeltaView } from '../../../src/driver/delta/read-delta.ts';

const ALL = 10_000;

interface Entry {
  readonly name: Name;
  readonly ino: Ino;
  readonly type: number;
  readonly own: boolean;
}

/** Every way in which an env's changes do not go together with themselves, or with the templates under them. */
export function problems(view: DeltaView, lower: LowerTree, privateDir: string): string[] {
  const found: string[] = [];
  const reached = reach(view, lower, found);
  const names = new Map<Ino, number>();
  for (const { dir, name, ino, type } of view.changedNames()) {
    if (ino === 0) continue;
    const at = `${dir}/${name}`;
    names.set(ino, (names.get(ino) ?? 0) + 1);
    if (!reached.has(dir) && !isHidden(view, lower, dir)) found.push(`${at} can't be reached`);
    const record = view.inode(ino);
    if (record === null) found.push(`${at} leads to ${ino}, which has no record`);
    else if (isDir(record.mode) !== isDir(type)) found.push(`${at} is of another type`);
  }
  for (const { ino, mode, nlink, data, parent, name } of view.inodes()) {
    const count = names.get(ino) ?? 0;
    if (
      isReg(mode) &&
      data === DATA_PRIVATE &&
      !existsSync(path.join(privateDir, privateName(ino)))
    ) {
      found.push(`${ino} has no private file`);
    }
    if (!isDir(mode)) {
      if (nlink !== count) found.push(`${ino} has ${count} names, not ${nlink}`);
    } else if (count > 1) found.push(`directory ${ino} has ${count} names`);
    else if (count === 0 && isPrivateIno(ino) && nlink > 0) found.push(`directory ${ino} is lost`);
    else if (count === 1 && view.name(parent as Ino, name as Name)?.ino !== ino) {
      found.push(`directory ${ino} is not where it says`);
    }
  }
  return found;
}

/** Every directory that a path leads to, and those of what is set aside. */
function reach(view: DeltaView, lower: LowerTree, found: string[]): Set<Ino> {
  const reached = new Set<Ino>([ROOT_INO, SAVED_INO]);
  for (const dir of reached) {
    for (const { name, ino, type, own } of entriesOf(view, lower, dir)) {
      const at = `${dir}/${name}`;
      if (!isDir(type)) {
        if (!own && view.inode(ino) !== null)
          found.push(`${at} leads to ${ino}, which is the env's`);
      } else if (reached.has(ino)) found.push(`${at} leads to ${ino}, which is elsewhere, too`);
      else reached.add(ino);
    }
  }
  return reached;
}

/** True if the env has removed the directory, or one above it, or has something else there: a name of a hard link group. */
function isHidden(view: DeltaView, lower: LowerTree, dir: Ino): boolean {
  for (let at = dir; at !== ROOT_INO; ) {
    const record = view.inode(at) ?? lower.inode(at) ?? lower.lastDir(at);
    if (record === null) return false;
    const own = view.name(record.parent as Ino, record.name as Name);
    if (own !== null && own.ino !== at) return true;
    at = record.parent as Ino;
  }
  return false;
}

function entriesOf(view: DeltaView, lower: LowerTree, dir: Ino): Entry[] {
  const own = view.list(dir, 0, ALL);
  const taken = new Set(own.map(({ name }) => name));
  const below = isPrivateIno(dir) ? [] : lower.list(dir, 0, ALL);
  return [
    ...own.flatMap(({ name, ino, type }) => (ino === 0 ? [] : [{ name, ino, type, own: true }])),
    ...below
      .filter(({ name }) => !taken.has(name))
      .map(({ name, record }) => ({ name, ino: record.ino, type: record.mode, own: false })),
  ];
}
