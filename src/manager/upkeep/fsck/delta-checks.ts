/** Checks an env's names and inodes against each other and against the templates. */
import { type Ino, isPrivateIno, ROOT_INO } from '../../../base/ids.ts';
import { isDir, S_IFMT } from '../../../base/mode.ts';
import { BY_REPAIR_UNMOUNTED, type DeltaFound, deltaDamage } from './delta-finding.ts';
import type { DeltaJob } from './delta-job.ts';
import type { OwnInode, OwnName } from './delta-scan.ts';

/** Checks the names of an env's delta. */
export function* checkNames(env: DeltaJob): Generator<DeltaFound> {
  const { scan } = env;
  for (const name of scan.unowned) yield* checkUnowned(env, name);
  for (const { dir, name, ino, type } of scan.mistyped) {
    const mode = scan.inodes.get(ino)?.mode ?? 0;
    const what = `its name says type ${octal(type)}, and its inode ${ino} is of type ${octal(mode)}`;
    yield deltaDamage('delta.names', env.place(dir, name), what, BY_REPAIR_UNMOUNTED, {
      change(delta, change) {
        const is = delta.inode(ino);
        if (is !== null && delta.name(dir, name)?.ino === ino) {
          change.setName(dir, name, ino, is.mode & S_IFMT);
        }
      },
    });
  }
  for (const [dir, names] of scan.nowhere) {
    yield lostDirectory(
      env,
      dir,
      `${names} names are in directory ${dir}, which the env does not have`,
    );
  }
  for (const [dir, names] of scan.inRemoved) {
    // If a name leads to it, it exists, and only its link count is wrong.
    if (scan.inodes.get(dir)?.names !== 0 || !scan.hasAllNames) continue;
    yield lostDirectory(env, dir, `${names} names are in directory ${dir}, which was removed`);
  }
}

const lostDirectory = (env: DeltaJob, dir: Ino, what: string): DeltaFound =>
  deltaDamage('delta.dirs', env.where(`<inode ${dir}>`), what, env.restore, { blocks: true });

const octal = (mode: number): string => (mode & S_IFMT).toString(8);

/** Checks a name that leads to an inode without a record in the delta. */
function* checkUnowned(env: DeltaJob, { dir, name, ino }: OwnName): Generator<DeltaFound> {
  // It may lead to a template's file, which needs no record as long as it is unchanged.
  if (env.lower.inode(ino) !== null) return;
  const where = env.place(dir, name);
  const what = `it leads to inode ${ino}, which has no record`;
  if (env.privateFiles.has(ino)) {
    const remedy = `its bytes are in ${env.privatePath(ino)}: copy them, then ${env.restore}`;
    yield deltaDamage('delta.names', where, what, remedy, { ino, blocks: true });
    return;
  }
  const remedy = 'byref fsck --repair takes the name away while the env is not mounted';
  yield deltaDamage('delta.names', where, what, remedy, {
    change(delta, change) {
      if (delta.name(dir, name)?.ino === ino && delta.inode(ino) === null) {
        change.clearName(dir, name);
      }
    },
  });
}

/** Checks the inodes of an env's delta, except directories. */
export function* checkInodes(env: DeltaJob): Generator<DeltaFound> {
  for (const [ino, own] of env.scan.inodes) {
    if (!isDir(own.mode)) yield* checkFile(env, ino, own);
  }
}

function* checkFile(env: DeltaJob, ino: Ino, own: OwnInode): Generator<DeltaFound> {
  const { nlink, names } = own;
  if (!env.scan.hasAllNames) return;
  if (names === 0 && nlink > 0) {
    yield unreachable(env, ino);
    return;
  }
  // Another template may hide some of a template's hard links, which are then not among the env's names.
  const wrong = isPrivateIno(ino) ? nlink !== names : nlink < names;
  if (!wrong) return;
  const what = `its link count is ${nlink}, and it has ${names} names`;
  yield linkCount(env, ino, what, nlink, names);
}

/** Returns the finding for an inode that no name leads to, although it has not lost its last name. */
export function unreachable(env: DeltaJob, ino: Ino): DeltaFound {
  const what = `no name leads to inode ${ino}`;
  const has = env.privateFiles.has(ino);
  const remedy = has
    ? `its bytes are in ${env.privatePath(ino)}: copy them if they are missed; or ${env.restore}`
    : env.restore;
  return deltaDamage('delta.inodes', env.where(`<inode ${ino}>`), what, remedy);
}

/** Returns the finding for a link count that differs from the number of names. */
export function linkCount(
  env: DeltaJob,
  ino: Ino,
  what: string,
  seen: number,
  right: number,
): DeltaFound {
  return deltaDamage('delta.links', env.where(env.pathOf(ino)), what, BY_REPAIR_UNMOUNTED, {
    change(delta, change) {
      const record = delta.inode(ino);
      if (record?.nlink === seen) change.setInode({ ...record, nlink: right });
    },
  });
}

/** Checks that no number which is in use can be given out again. */
export function* checkNext(env: DeltaJob): Generator<DeltaFound> {
  const { highestIno, inodes } = env.scan;
  if (highestIno < env.nextIno) return;
  const what = `the next inode is to be ${env.nextIno}, and ${highestIno} is in use`;
  yield deltaDamage('delta.next', env.where(''), what, BY_REPAIR_UNMOUNTED, {
    change(delta, change) {
      delta.skipTo((highestIno + 1) as Ino);
      // Any record will do: the table's state is written along with any change.
      const record = delta.inode(inodes.has(highestIno) ? highestIno : ROOT_INO);
      if (record !== null) change.setInode(record);
    },
  });
}
