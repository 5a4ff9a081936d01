/** Checks the directories of an env's delta: their places, and their link counts. */
import { type Ino, isPrivateIno, ROOT_INO } from '../../../base/ids.ts';
import { isDir } from '../../../base/mode.ts';
import { DIRECTORY_LINKS } from '../../../codec/inode-record.ts';
import { linkCount, unreachable } from './delta-checks.ts';
import { BY_REPAIR_UNMOUNTED, type DeltaFound, deltaDamage } from './delta-finding.ts';
import type { DeltaJob } from './delta-job.ts';
import type { OwnInode } from './delta-scan.ts';
import { isSavedDir } from './saved-dirs.ts';

/** Checks all directories of an env's delta. */
export function* checkDirs(env: DeltaJob): Generator<DeltaFound> {
  const { scan } = env;
  yield* checkPlaces(env);
  for (const [ino, own] of scan.inodes) {
    if (!isDir(own.mode)) continue;
    yield* checkDir(env, ino, own);
    yield* checkLinks(env, ino, own);
  }
  yield* checkLoops(env);
}

/** Checks names of directories whose record says that they are elsewhere. */
function* checkPlaces(env: DeltaJob): Generator<DeltaFound> {
  const { scan } = env;
  for (const { dir, name, ino } of scan.elsewhere) {
    const own = scan.inodes.get(ino);
    // Several names are a finding of their own: which of them is right is unknown.
    if (own === undefined || own.names > 1) continue;
    const what = `its record says that it hangs in directory ${own.parent}, as "${own.name}"`;
    yield deltaDamage('delta.dirs', env.place(dir, name), what, BY_REPAIR_UNMOUNTED, {
      change(delta, change) {
        const record = delta.inode(ino);
        if (record !== null && delta.name(dir, name)?.ino === ino) {
          change.setInode({ ...record, parent: dir, name });
        }
      },
    });
  }
}

function* checkDir(env: DeltaJob, ino: Ino, own: OwnInode): Generator<DeltaFound> {
  const { nlink, names } = own;
  if (names > 1) {
    const what = `directory ${ino} has ${names} names, and can have one`;
    yield deltaDamage('delta.dirs', env.where(env.pathOf(ino)), what, env.restore);
  }
  if (names > 0 || nlink === 0 || ino === ROOT_INO || !env.scan.hasAllNames) return;
  if (isPrivateIno(ino)) yield unreachable(env, ino);
  else yield* checkTemplateDir(env, ino, own);
}

/** Checks that a template's directory, if the env did not move it, is where the templates have or had it. */
function* checkTemplateDir(
  env: DeltaJob,
  ino: Ino,
  { parent, name }: OwnInode,
): Generator<DeltaFound> {
  const place = env.job.dirPlaces.get(ino);
  if (place !== undefined && place.parent === parent && place.name === name) return;
  const what =
    place === undefined
      ? `directory ${ino} is in no template`
      : `its record says that it was moved, and no name leads to directory ${ino}`;
  yield deltaDamage('delta.dirs', env.where(env.pathOf(ino)), what, env.restore);
}

function* checkLinks(env: DeltaJob, ino: Ino, own: OwnInode): Generator<DeltaFound> {
  const { scan, lower } = env;
  // Link counts do not show if a directory is removed or set aside, or was counted over other versions.
  if (own.nlink === 0 && own.names === 0) return;
  if (isSavedDir(scan.places, ino) || !scan.hasAllNames) return;
  if (own.stamp !== (isPrivateIno(ino) ? 0 : lower.stamp)) return;
  const below = lower.inode(ino);
  if (below === undefined) return;
  const right = (below?.nlink ?? DIRECTORY_LINKS) + (scan.subdirectories.get(ino) ?? 0);
  if (Number.isNaN(right) || own.nlink === right) return;
  const what = `its link count is ${own.nlink}, and by its subdirectories ${right}`;
  yield linkCount(env, ino, what, own.nlink, right);
}

/** Checks that every way up ends: at the root, at what is set aside, or at a directory of the templates. */
function* checkLoops(env: DeltaJob): Generator<DeltaFound> {
  const { places, inodes } = env.scan;
  const good = new Set<Ino>();
  for (const [ino, { mode }] of inodes) {
    if (!isDir(mode)) continue;
    const way = new Set<Ino>();
    let at: Ino | undefined = ino;
    while (at !== undefined && !good.has(at) && !way.has(at)) {
      way.add(at);
      at = places.get(at)?.dir;
    }
    const loops = at !== undefined && way.has(at);
    for (const passed of way) good.add(passed);
    if (!loops) continue;
    const what = `directory ${at ?? ino} hangs in itself`;
    yield deltaDamage('delta.loops', env.where(env.pathOf(ino)), what, env.restore);
  }
}
