/** A large journal, as a driver leaves it that was killed while its disk was slow, is recovered piece by piece. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ROOT_INO } from '../../src/base/ids.ts';
import { S_IFREG } from '../../src/base/mode.ts';
import type { EnvDelta } from '../../src/driver/delta/env-delta.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';
import { inode, name, open } from './open-env.ts';

const VALUE_BYTES = 48 * 1024;
/** Three pieces of a journal. */
const FILES = 200;
const LARGE = { largeJournalBytes: 2 ** 20 };

let root: string;
let dir: string;
beforeEach(() => {
  root = newDir();
  dir = path.join(root, 'env');
  mkdirSync(dir);
});
afterEach(() => removeDir(root));

/** Makes an inode with a long attribute; without bytes of its own. */
function addFile(delta: EnvDelta, i: number): void {
  const ino = delta.allocate();
  const change = delta.begin();
  change.setName(ROOT_INO, name(`n${i}`), ino, S_IFREG);
  const xattrs = new Map([['user.long', Buffer.alloc(VALUE_BYTES, i)]]);
  change.setInode(inode(ino, { xattrs }));
  if (delta.commit() < 0) throw new Error('not committed');
}

/** Opens the env in a process of its own, which a failpoint kills when the first piece is in the table. */
function killedMeanwhile(env: string): boolean {
  const script = `
    const { openDelta } = await import('${path.resolve('src/driver/delta/open-delta.ts')}');
    await openDelta(process.argv[1], { openObject: () => -1, largeJournalBytes: 1 });
  `;
  const args = ['--import', 'tsx', '--input-type=module', '-e', script, env];
  const variables = { ...process.env, BYREF_FAILPOINT: 'journal-drained' };
  return spawnSync(process.execPath, args, { env: variables }).signal === 'SIGKILL';
}

test.each([false, true])(
  'with nothing of it in memory after; killed meanwhile: %s',
  async (kill) => {
    const delta = await open(dir, { checkpointRecords: 1e9, checkpointBytes: 1e12 });
    for (let i = 0; i < FILES; i++) addFile(delta, i);
    const copy = path.join(root, 'copy');
    execFileSync('cp', ['-a', dir, copy]);
    const next = delta.allocate();
    await delta.close();
    if (kill) expect(killedMeanwhile(copy)).toBe(true);
    const again = await open(copy, LARGE);
    expect(again.readOnly).toBeNull();
    expect(again.recentInodes()).toEqual([]);
    for (const i of [0, 1, FILES / 2, FILES - 1]) {
      const { ino } = again.name(ROOT_INO, name(`n${i}`))!;
      const value = again.inode(ino as never)?.xattrs?.get('user.long');
      expect(value).toEqual(Buffer.alloc(VALUE_BYTES, i));
    }
    expect(again.allocate()).toBeGreaterThanOrEqual(next);
    await again.close();
    expect(readdirSync(copy).filter((each) => each.startsWith('journal.'))).toEqual([]);
    const reopened = await open(copy);
    expect(reopened.readOnly).toBeNull();
    await reopened.close();
  },
);
