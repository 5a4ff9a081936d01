import { expect } from 'vitest';
import type { Agent } from './agent-client.ts';
import { applyToReference, type Slots } from './apply.ts';
import { type Operation, SLOTS } from './operation.ts';
import { Reference } from './reference.ts';
import { snapshotOf } from './snapshot.ts';

/** A file system under test. */
export interface Subject {
  readonly agent: Agent;
  /**
   * A directory with the start tree, never used before. Where it is not coherent, a descriptor that only
   * reads may keep the bytes and attributes of before the first write.
   */
  fresh(): Promise<{ readonly dir: string; readonly coherent: boolean }>;
  /** Unmounts and mounts again; nothing uses it meanwhile. */
  remount(): Promise<void>;
  /** Kills what serves it, then as remount. All that was answered must be there. */
  kill(): Promise<void>;
}

/**
 * Does a history both in the reference and for real: every step must answer alike, and in the end all
 * names, attributes, contents and links must be alike, before and after a remount.
 */
export async function checkHistory(subject: Subject, steps: readonly Operation[]): Promise<void> {
  const { dir, coherent } = await subject.fresh();
  const ref = new Reference();
  const slots: Slots = new Map();
  await closeAll(subject, dir);
  for (const [i, step] of steps.entries()) {
    const expected = applyToReference(ref, slots, step);
    const seen = await subject.agent.do(dir, step);
    if (step.op === 'remount') await subject.remount();
    if (step.op === 'kill') await subject.kill();
    if (!coherent && 'slot' in step && slots.get(step.slot)?.writable === false) continue;
    expect(seen, `step ${i} ${describe(step)}`).toEqual(expected);
  }
  await closeAll(subject, dir);
  const real = await subject.agent.snapshot(dir);
  expect(real, `the tree after ${steps.length} steps`).toEqual(snapshotOf(ref, real));
}

/** A history that failed leaves descriptors to the next one. */
async function closeAll({ agent }: Subject, dir: string): Promise<void> {
  for (let slot = 0; slot < SLOTS; slot++) await agent.do(dir, { op: 'close', slot });
}

const describe = (step: Operation): string => JSON.stringify(step).slice(0, 200);
