import { join } from 'node:path';
import { type Backing, type BackingKind, openBacking } from './backing.ts';
import type { Cleanup } from './cleanup.ts';
import { type Fixture, makeFixture, PATHS, writeRoot } from './fixture.ts';
import type { Options } from './options.ts';
import { makePeers } from './peers/index.ts';
import type { Peer } from './peers/peer.ts';
import { InterruptedError, run } from './process.ts';
import { studyTable, tableHead, tableRow } from './report.ts';
import type { BackingResults } from './results.ts';
import { type Contender, measureRow, type PlaceOf } from './rounds.ts';
import { GIT_ENV, makeSources, type Sources } from './sources.ts';
import { STUDIES } from './studies/index.ts';
import { compileWorker, type Worker, work } from './worker.ts';
import { WORKLOADS } from './workloads/index.ts';
import type { Workload } from './workloads/workload.ts';

/** What a quick run takes of each count. */
const QUICK_SCALE = 0.3;

interface Stage {
  readonly backing: Backing;
  readonly worker: Worker;
  readonly fixture: Fixture;
  readonly sources: Sources;
}

/** All rows and studies that were asked for, on one backing; prints as it goes. Null: nothing to do. */
export async function runBacking(
  kind: BackingKind,
  options: Options,
  cleanup: Cleanup,
): Promise<BackingResults | null> {
  const rows = WORKLOADS.filter((each) => chosen(each.name, options) && fits(each, kind, options));
  const studies = STUDIES.filter(
    (each) => kind === 'ram' && (options.only ? chosen(each.name, options) : !options.quick),
  );
  if (!rows.length && !studies.length) return null;
  const backing = await openBacking(kind, cleanup);
  const worker = await compileWorker(backing.dir);
  say(`\n## ${kind} (${backing.type})\n`);
  const results: BackingResults = {
    backing: kind,
    fileSystem: backing.type,
    peers: [],
    rows: [],
    studies: [],
  };
  const complete = rows.length
    ? await runRows(rows, await setStage(backing, worker), results, options, cleanup)
    : results;
  for (const study of studies) {
    try {
      const table = await study.run({ backing, worker, cleanup, quick: options.quick });
      complete.studies.push(table);
      say(`\n${studyTable(table)}`);
    } catch (error) {
      if (error instanceof InterruptedError) throw error;
      say(`\n${study.name}: failed: ${String(error)}`);
    }
  }
  return complete;
}

const chosen = (name: string, options: Options): boolean =>
  options.only === undefined || options.only.includes(name);

/** XFS is there for its reflinks; the rest of the table needs no third backing, unless asked for. */
const fits = (workload: Workload, kind: BackingKind, options: Options): boolean =>
  kind !== 'xfs' || workload.copyUp === true || options.only !== undefined;

async function setStage(backing: Backing, worker: Worker): Promise<Stage> {
  const started = Date.now();
  for (const name of ['lower', 'plain']) writeRoot(join(backing.dir, name), worker.nothing);
  const fixture = makeFixture(backing.dir);
  const sources = await makeSources(join(backing.dir, 'sources'));
  say(`trees and sources made in ${seconds(started)}`);
  return { backing, worker, fixture, sources };
}

async function runRows(
  rows: readonly Workload[],
  stage: Stage,
  empty: BackingResults,
  options: Options,
  cleanup: Cleanup,
): Promise<BackingResults> {
  const contenders = await openPeers(stage, options, cleanup);
  const results = { ...empty, peers: contenders.map(({ peer }) => peer.name) };
  say(`\n${tableHead(results)}`);
  for (const workload of rows) {
    const rounds = options.rounds ?? workload.rounds;
    const able = contenders.filter(({ peer }) => peer.name !== 'floor' || workload.floor);
    const cells = await measureRow(workload, able, rounds, placeOf(stage, options));
    const { name, title } = workload;
    const reflinks = stage.backing.kind === 'xfs' && workload.reflinkTarget;
    const target = reflinks || workload.target;
    const row = { name, title, cells, ...(target && { target }) };
    results.rows.push(row);
    say(tableRow(results, row));
    for (const [peer, cell] of Object.entries(cells)) {
      if ('error' in cell) console.error(`  ${name}, ${peer}: ${cell.error}`);
    }
  }
  for (const contender of contenders) await closeContender(contender);
  return results;
}

async function openPeers(stage: Stage, options: Options, cleanup: Cleanup): Promise<Contender[]> {
  const { dir } = stage.backing;
  const site = { dir: join(dir, 'peers'), lower: join(dir, 'lower'), plain: join(dir, 'plain') };
  const contenders: Contender[] = [];
  for (const peer of makePeers(options.peers, site)) {
    const started = Date.now();
    try {
      cleanup.defer(`close ${peer.name}`, () => peer.close());
      await peer.prepare();
      const env = await peer.open('main');
      if (peer.name !== 'floor') await run('mkdir', ['-p', join(env.root, PATHS.scratch)]);
      contenders.push({ peer, env });
      say(`${peer.name} ready in ${seconds(started)}`);
    } catch (error) {
      if (error instanceof InterruptedError) throw error;
      say(`${peer.name} left out: ${String(error)}`);
    }
  }
  return contenders;
}

const placeOf =
  (stage: Stage, options: Options): PlaceOf =>
  (peer: Peer, env, round) => ({
    ...stage,
    root: env.root,
    copiesOnWrite: peer.copiesOnWrite,
    round,
    scale: (count) => (options.quick ? Math.ceil(count * QUICK_SCALE) : count),
    work: (...args) => work(stage.worker, env.root, args),
    run: (file, ...args) => run(file, args, { cwd: env.root, env: GIT_ENV }),
  });

async function closeContender({ peer, env }: Contender): Promise<void> {
  try {
    await env.close();
  } catch (error) {
    console.error(`bench: ${peer.name}: ${String(error)}`);
  }
}

const seconds = (started: number): string => `${((Date.now() - started) / 1000).toFixed(1)} s`;

const say = (text: string): void => console.log(text);
