/**
 * Damages copies of a root, and does to each what commands and drivers do, in this process: fuzz.test.ts starts it, and starts
 * it again where it died. Prints a line before each case and one after it.
 *
 *   fuzz-probe PRISTINE SCRATCH FIRST LAST
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { Damaged, isDamage } from '../../src/base/damaged.ts';
import { ByrefError } from '../../src/base/error.ts';
import { type Ino, ROOT_INO } from '../../src/base/ids.ts';
import { O_RDONLY, S_IFREG } from '../../src/base/mode.ts';
import type { EnvDelta } from '../../src/driver/delta/env-delta.ts';
import { openDelta } from '../../src/driver/delta/open-delta.ts';
import { fsck } from '../../src/manager/upkeep/fsck/fsck.ts';
import { native } from '../../src/native/binding.ts';
import { needDelta } from '../../src/store/delta-marks.ts';
import { envDir, openStore, type Store } from '../../src/store/store.ts';
import { name } from '../delta/open-env.ts';
import { copyRoot, harm } from './harms.ts';

const ENVS = [1, 2, 3];

/** The outcome of one root. */
interface Seen {
  /** The sentences in which damage was told. */
  readonly told: string[];
  /** Errors that nobody foresaw. */
  readonly bugs: string[];
  /** What programs would have seen. */
  readonly content: string[];
}

async function attempt(seen: Seen, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const isTold = error instanceof ByrefError || error instanceof Damaged || isDamage(error);
    const text = (error as Error).stack ?? String(error);
    if (isTold) seen.told.push((error as Error).message);
    else seen.bugs.push(text);
  }
}

async function check(root: string, seen: Seen): Promise<void> {
  const { findings } = await fsck(root, { full: true, repair: false });
  for (const { check: kind, severity, where, what } of findings)
    if (severity === 'error' || kind === 'delta.lost') seen.told.push(`${where}: ${what}`);
}

async function readStore(root: string, seen: Seen): Promise<void> {
  const store = await openStore(root, { write: false });
  try {
    for (const row of store.envs()) {
      store.settings(row.id);
      const lower = store.lowerTree(store.resolveStack(row));
      for (const text of ['etc', 'usr', 'f1', 'f2']) {
        const found = lower.lookup(ROOT_INO, name(text));
        seen.content.push(`lower ${row.name} ${text} ${JSON.stringify(found?.object ?? null)}`);
      }
    }
  } finally {
    await store.close();
  }
}

function bytesOf(delta: EnvDelta, ino: Ino): string {
  const fd = delta.files.openPrivate(ino, O_RDONLY);
  if (fd < 0) return `errno ${-fd}`;
  const bytes = Buffer.alloc(64);
  const length = native.pread(fd, bytes, 0, 64, 0);
  native.close(fd);
  return bytes.toString('latin1', 0, Math.max(0, length));
}

async function serveEnv(store: Store, id: number, seen: Seen): Promise<void> {
  const row = store.needEnv(id);
  needDelta(store.root, id, row.name);
  mkdirSync(envDir(store.root, id), { recursive: true, mode: 0o700 });
  const delta = await openDelta(envDir(store.root, id), {
    openObject: (object) => store.objects.open(object),
    onError: ({ message }) => seen.told.push(message),
  });
  try {
    for (const { name: called, ino } of delta.list(ROOT_INO, 0, 1000)) {
      const record = ino === 0 ? null : delta.inode(ino);
      const bytes = ino === 0 ? '' : bytesOf(delta, ino);
      seen.content.push(`${id} ${called} ${record?.mode} ${record?.uid} ${record?.nlink} ${bytes}`);
    }
    if (delta.readOnly !== null) return;
    const change = delta.begin();
    change.setName(ROOT_INO, name('late'), 0, S_IFREG);
    if (delta.commit() === 0) await delta.checkpoint();
  } finally {
    await delta.close();
  }
}

async function look(root: string): Promise<Seen> {
  const seen: Seen = { told: [], bugs: [], content: [] };
  await attempt(seen, () => readStore(root, seen));
  await attempt(seen, () => check(root, seen));
  await attempt(seen, async () => {
    const store = await openStore(root, { write: true });
    for (const id of ENVS) await attempt(seen, () => serveEnv(store, id, seen));
    await store.close();
    await attempt(seen, () => check(root, seen));
  });
  return seen;
}

type Class = 'told' | 'wrong' | 'silent' | 'none';

function classOf({ told, bugs, content }: Seen, whole: readonly string[]): Class {
  // The command line looks for damage behind an error that nobody foresaw: src/cli/damage-behind.ts.
  if (told.length > 0) return 'told';
  if (bugs.length > 0) return 'wrong';
  return content.join('\n') === whole.join('\n') ? 'none' : 'silent';
}

async function main(): Promise<void> {
  const [pristine = '', scratch = '', first = '0', last = '0'] = process.argv.slice(2);
  const root = (seed: number | 'whole'): string => path.join(scratch, `root-${seed}`);
  copyRoot(pristine, root('whole'));
  const whole = await look(root('whole'));
  if (whole.told.length + whole.bugs.length > 0) throw new Error(JSON.stringify(whole, null, 1));
  for (let seed = Number(first); seed <= Number(last); seed++) {
    copyRoot(pristine, root(seed));
    const harmed = harm(root(seed), seed);
    process.stdout.write(`begin ${seed} ${JSON.stringify(harmed)}\n`);
    const seen = await look(root(seed));
    const line = { seed, ...harmed, class: classOf(seen, whole.content), bugs: seen.bugs };
    process.stdout.write(`end ${JSON.stringify(line)}\n`);
    rmSync(root(seed), { recursive: true, force: true });
  }
  for (const each of readdirSync(scratch))
    if (existsSync(path.join(scratch, each))) rmSync(path.join(scratch, each), { recursive: true });
}

await main();
