import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { dropCaches } from '../drop-caches.ts';
import { unmountBelow } from '../mounts.ts';
import { makePeers } from '../peers/index.ts';
import type { Env, Peer } from '../peers/peer.ts';
import type { StudyTable } from '../results.ts';
import { formatBytes } from '../stats.ts';
import { Contents } from '../tree.ts';
import type { Study, StudyStage } from './study.ts';

const COUNTS = { quick: [1, 10], full: [1, 10, 50] };
const PEERS = ['overlayfs', 'fuse-overlayfs', 'byref', 'byref-no-passthrough'];
const LIBRARIES = 16;
const LIBRARY_BYTES = 4 * 1024 * 1024;

/** How much more memory the same libraries take when more envs map them. */
export const pageCache: Study = { name: 'page-cache', run: study };

async function study(stage: StudyStage): Promise<StudyTable> {
  const dir = join(stage.backing.dir, 'page-cache');
  const lower = join(dir, 'lower');
  const paths = Array.from({ length: LIBRARIES }, (_, i) => `usr/lib/library-${i}.so`);
  const contents = new Contents();
  paths.forEach((path, i) => {
    contents.writeLarge(join(lower, path), LIBRARY_BYTES + i);
  });
  const list = join(dir, 'list');
  writeFileSync(list, `${paths.join('\n')}\n`);
  stage.cleanup.defer('unmount the page-cache envs', () => unmountBelow(dir));

  const counts = stage.quick ? COUNTS.quick : COUNTS.full;
  const rows: string[][] = [];
  const figures: Record<string, number> = {};
  for (const peer of makePeers(PEERS, { dir: join(dir, 'peers'), lower, plain: lower })) {
    stage.cleanup.defer(`close ${peer.name}`, () => peer.close());
    const growth = await growthOf(peer, stage, list, counts);
    rows.push([peer.name, ...growth.map(formatBytes)]);
    growth.forEach((bytes, i) => {
      figures[`${peer.name} ${counts[i] ?? 0} bytes`] = bytes;
    });
  }
  return {
    name: 'page-cache',
    title: `Page cache taken when envs map the same ${formatBytes(LIBRARIES * LIBRARY_BYTES)} of libraries`,
    columns: ['peer', ...counts.map((count) => `${count} env${count === 1 ? '' : 's'}`)],
    rows,
    figures,
  };
}

/** Bytes of page cache more than with no env's program running, for each count. */
async function growthOf(
  peer: Peer,
  stage: StudyStage,
  list: string,
  counts: readonly number[],
): Promise<number[]> {
  await peer.prepare();
  const envs: Env[] = [];
  for (let i = 0; i < Math.max(...counts); i++) envs.push(await peer.open(`cache-${i}`));
  await dropCaches('all');
  const before = cachedBytes();
  const growth: number[] = [];
  const holders: Holder[] = [];
  try {
    for (const count of counts) {
      for (const env of envs.slice(holders.length, count)) {
        holders.push(await hold(stage.worker.program, env.root, list));
      }
      growth.push(cachedBytes() - before);
    }
  } finally {
    await Promise.all(holders.map(({ end }) => end()));
  }
  for (const env of envs) await env.close();
  return growth;
}

/** Pages of files, without those of tmpfs, where the backing's image lies. */
function cachedBytes(): number {
  const text = readFileSync('/proc/meminfo', 'utf8');
  const kib = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]);
  return (kib('Cached') - kib('Shmem')) * 1024;
}

interface Holder {
  readonly end: () => Promise<void>;
}

/** A process that has all libraries mapped, and touched, until it is ended. */
function hold(program: string, root: string, list: string): Promise<Holder> {
  const child: ChildProcess = spawn(program, [root, 'hold-mapped', list], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const end = (): Promise<void> => {
    child.stdin?.end();
    return ended;
  };
  return new Promise((resolve, reject) => {
    void ended.then(() => reject(new Error(`hold-mapped in ${root} ended early`)));
    if (child.stdout) createInterface(child.stdout).once('line', () => resolve({ end }));
  });
}
