/** Checks the bytes of an env's files: private files, and objects that its records name. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Ino, ObjectId } from '../../../base/ids.ts';
import { isReg } from '../../../base/mode.ts';
import { DATA_OBJECT, DATA_PRIVATE } from '../../../codec/inode-record.ts';
import { decodePatchHead, patchOfFile } from '../../../codec/patch-record.ts';
import { NEW_LINK_DIR } from '../../../driver/delta/layout.ts';
import type { DeltaView } from '../../../driver/delta/read-delta.ts';
import { idKey } from '../../../store/keys.ts';
import { isUnfinished } from '../../../store/patch-rows.ts';
import { objectSize } from '../objects/object-file.ts';
import { type DeltaFound, deltaDamage } from './delta-finding.ts';
import type { DeltaJob } from './delta-job.ts';
import { leftover, REMOVED_BY_REPAIR } from './finding.ts';
import { importAgain, usesOf } from './object-uses.ts';
import { readRow } from './rows.ts';

/** Checks that the bytes of every inode exist. */
export function* checkData(env: DeltaJob, view: DeltaView): Generator<DeltaFound> {
  const missing: [Ino, ObjectId][] = [];
  for (const [ino, { mode, data, object }] of env.scan.inodes) {
    if (data === DATA_PRIVATE && isReg(mode)) yield* checkPrivate(env, view, ino);
    if (object !== '') {
      env.job.deltaObjects.add(object);
      if (objectSize(env.job.store.objects, object) < 0) missing.push([ino, object]);
    } else if (data === DATA_OBJECT) {
      const what = `the bytes of inode ${ino} are an object, and it names none`;
      yield deltaDamage('delta.object', env.where(env.pathOf(ino)), what, env.restore, { ino });
    }
  }
  if (missing.length > 0) yield* missingObjects(env, missing);
}

function* checkPrivate(env: DeltaJob, view: DeltaView, ino: Ino): Generator<DeltaFound> {
  const isFile = env.privateFiles.get(ino);
  // After a power cut, the next mount creates files that were never known to be on disk.
  if (isFile === true || (isFile === undefined && view.awaitsRecovery(ino))) return;
  const file = env.privatePath(ino);
  const what = isFile === false ? `${file} is no regular file` : `its bytes are missing: ${file}`;
  const remedy = `restore ${file} from a backup, or remove the file in the env`;
  yield deltaDamage('delta.private', env.where(env.pathOf(ino)), what, remedy, { ino });
}

function* missingObjects(
  env: DeltaJob,
  missing: readonly [Ino, ObjectId][],
): Generator<DeltaFound> {
  const uses = usesOf(env.job, new Set(missing.map(([, object]) => object)));
  for (const [ino, object] of missing) {
    const isCopy = env.scan.inodes.get(ino)?.data === DATA_PRIVATE;
    const said = isCopy ? 'after a power cut its bytes would be' : 'its bytes are';
    const what = `${said} object ${object}, whose file is missing`;
    const remedy = importAgain(env.job, uses.get(object));
    yield deltaDamage('delta.object', env.where(env.pathOf(ino)), what, remedy, { ino });
  }
}

const BY_MOUNT = 'the next mount moves it to lost+found';
const TO_LOST = 'byref fsck --repair moves it to lost+found';

/** Finds merges that belong to no patch: a patch was about to put them in place, and has ended. */
export function* checkMerges(env: DeltaJob): Generator<DeltaFound> {
  for (const name of readdirSync(env.directory)) {
    const patch = patchOfFile(name);
    if (patch === null) continue;
    const head = readRow(env.job.tables, 'patches', idKey(patch), decodePatchHead);
    if (head === null || (head !== undefined && isUnfinished(head))) continue;
    const where = path.join(env.directory, name);
    const what = `a file of patch ${patch}, which has ended`;
    yield {
      ...leftover('delta.extra', where, what, REMOVED_BY_REPAIR),
      files: () => rmSync(where, { force: true }),
    };
  }
}

/**
 * Finds what a driver left when it was killed. In a served env, such files may be in the making, so it is not
 * checked.
 */
export function* checkExtra(env: DeltaJob, view: DeltaView): Generator<DeltaFound> {
  if (env.served) return;
  const fresh = path.join(env.directory, NEW_LINK_DIR);
  if (existsSync(fresh)) {
    yield {
      ...leftover('delta.extra', fresh, 'a link table that was not finished', REMOVED_BY_REPAIR),
      files: () => rmSync(fresh, { recursive: true, force: true }),
    };
  }
  for (const ino of env.privateFiles.keys()) {
    if (env.scan.inodes.get(ino)?.data === DATA_PRIVATE || view.awaitsRecovery(ino)) continue;
    const what = 'a private file that no inode names';
    // If the delta has no table or journal at all, those may be what is missing.
    if (view.isEmpty) yield leftover('delta.extra', env.privatePath(ino), what, BY_MOUNT);
    else {
      yield {
        ...leftover('delta.extra', env.privatePath(ino), what, TO_LOST),
        // An empty file has nothing to lose.
        files: ({ files }) => {
          if (files.sizeOf(ino) <= 0) files.removePrivate(ino);
          else files.setAside(ino);
        },
      };
    }
  }
}
