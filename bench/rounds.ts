import { foreignDrops } from './drop-caches.ts';
import { abortBelow } from './mounts.ts';
import type { Env, Peer } from './peers/peer.ts';
import { InterruptedError, TimeoutError } from './process.ts';
import type { Cell } from './results.ts';
import { median } from './stats.ts';
import type { Place, Workload } from './workloads/workload.ts';

/** A peer in the race, with the env that lasts over all rows. */
export interface Contender {
  readonly peer: Peer;
  env: Env;
}

export type PlaceOf = (peer: Peer, env: Env, round: number) => Place;

const SAMPLE_ATTEMPTS = 3;

let freshEnvs = 0;

/**
 * Measures one row: every round asks every peer once, starting with another one each time, so that
 * a machine that is slow for a while is slow for all. The first round only warms up.
 * @throws InterruptedError; every other error is a cell's
 */
export async function measureRow(
  workload: Workload,
  contenders: readonly Contender[],
  rounds: number,
  placeOf: PlaceOf,
): Promise<Record<string, Cell>> {
  const samples = new Map<Contender, number[]>();
  const disturbances = new Map<Contender, number>();
  const errors = new Map<Contender, string>();
  for (let round = 0; round <= rounds; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const contender = contenders[(turn + round) % contenders.length];
      if (!contender || errors.has(contender)) continue;
      try {
        const { ns, disturbed } = await sampleUndisturbed(() =>
          sampleOnce(workload, contender, round, placeOf),
        );
        if (round === 0) continue;
        samples.set(contender, [...(samples.get(contender) ?? []), ns]);
        if (disturbed) disturbances.set(contender, (disturbances.get(contender) ?? 0) + 1);
      } catch (error) {
        if (error instanceof InterruptedError) throw error;
        errors.set(contender, error instanceof Error ? error.message : String(error));
        if (error instanceof TimeoutError) await replaceEnv(contender);
      }
    }
  }
  return Object.fromEntries(
    contenders.map((contender) => [
      contender.peer.name,
      cellOf(samples.get(contender) ?? [], disturbances.get(contender) ?? 0, errors.get(contender)),
    ]),
  );
}

/** Takes a sample again if others dropped the caches meanwhile, and gives up if they go on. */
async function sampleUndisturbed(
  sample: () => Promise<number>,
): Promise<{ ns: number; disturbed: boolean }> {
  for (let attempt = 1; ; attempt++) {
    const before = foreignDrops();
    const ns = await sample();
    const disturbed = foreignDrops() !== before;
    if (!disturbed || attempt === SAMPLE_ATTEMPTS) return { ns, disturbed };
  }
}

async function sampleOnce(
  workload: Workload,
  { peer, env }: Contender,
  round: number,
  placeOf: PlaceOf,
): Promise<number> {
  const sample = peer.name === 'floor' ? workload.floor : workload.sample;
  if (!sample) throw new Error(`no ${workload.name} on ${peer.name}`);
  if (!workload.fresh) {
    const place = placeOf(peer, env, round);
    if (round === 0) await workload.prepare?.(place);
    return sample(place);
  }
  const fresh = await peer.open(`fresh-${++freshEnvs}`);
  try {
    return await sample(placeOf(peer, fresh, round));
  } catch (error) {
    if (error instanceof TimeoutError) await abortBelow(fresh.root);
    throw error;
  } finally {
    await fresh.close();
  }
}

/** After a hang: aborts the mount, and goes on with a new one. */
async function replaceEnv(contender: Contender): Promise<void> {
  await abortBelow(contender.env.root);
  await contender.env.close().catch((error: unknown) => console.error(`bench: ${String(error)}`));
  contender.env = await contender.peer.open(`again-${++freshEnvs}`);
}

function cellOf(samples: readonly number[], disturbed: number, error: string | undefined): Cell {
  if (error !== undefined) return { error };
  return {
    medianNs: median(samples),
    minNs: Math.min(...samples),
    maxNs: Math.max(...samples),
    samplesNs: samples,
    disturbed,
  };
}
