import fs from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import type { Agent } from './agent-client.ts';
import { applyToReference } from './apply.ts';
import { isDirectory } from './node.ts';
import { type Flip, type Operation, SLOTS } from './operation.ts';
import { Reference } from './reference.ts';
import { type Inos, snapshotOf } from './snapshot.ts';

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
  /** A history failed: the next one begins where nothing of it is left. */
  spoil(): void;
  /** Null where there are no templates. */
  readonly flip: ((flip: Flip) => Promise<void>) | null;
}

/**
 * Does a history both in the reference and for real: every step must answer alike, and in the end all
 * names, attributes, contents and links must be alike, before and after a remount.
 */
export async function checkHistory(subject: Subject, steps: readonly Operation[]): Promise<void> {
  const { dir, coherent } = await subject.fresh();
  const ref = new Reference(subject.flip !== null);
  const inos: Inos = new Map();
  const { agent } = subject;
  await closeAll(agent, dir);
  const look = async (when: string): Promise<void> => {
    const real = await agent.snapshot(dir);
    expect(real, `the tree ${when}`).toEqual(snapshotOf(ref, real, inos));
  };
  for (const [i, step] of steps.entries()) {
    const isOld = !coherent && readsOldBytes(ref, step);
    // What it would change is another file in the one case than in the other.
    if (isOld && CHANGES.has(step.op)) continue;
    if (step.op === 'flip') await closeCopies(ref, agent, dir);
    const expected = applyToReference(ref, step);
    const seen = await agent.do(dir, step);
    if (step.op === 'remount') await subject.remount();
    if (step.op === 'kill') await subject.kill();
    if (step.op === 'flip') await subject.flip!(step);
    if (step.op === 'look') await look(`before step ${i}`);
    if (isOld) continue;
    if (isDeepStrictEqual(seen, expected)) continue;
    // Looked at now, since what was so for a moment only is gone later.
    expect(seen, `step ${i} ${describe(step)}, where there are ${namesIn(dir)}`).toEqual(expected);
  }
  await closeAll(agent, dir);
  await look(`after ${steps.length} steps`);
}

const OPENS: ReadonlySet<Operation['op']> = new Set(['open', 'openRead', 'openDir', 'close']);
const CHANGES: ReadonlySet<Operation['op']> = new Set(['reopen', 'fchmod', 'fchown']);

/** True for a descriptor that reads what may be the bytes of before the first write. */
function readsOldBytes(ref: Reference, step: Operation): boolean {
  if (!('slot' in step) || OPENS.has(step.op)) return false;
  const slot = ref.slots.get(step.slot);
  if (slot === undefined || slot.writable || isDirectory(slot.node)) return false;
  return slot.node.own || (step.op === 'reopen' && !slot.node.gone);
}

/** A copy that was mapped for writing stays while somebody reads it; whether it may have been, only the driver knows. */
async function closeCopies(ref: Reference, agent: Agent, dir: string): Promise<void> {
  for (const [slot, { node, writable }] of [...ref.slots]) {
    if (writable || isDirectory(node) || !node.own || !node.written) continue;
    applyToReference(ref, { op: 'close', slot });
    await agent.do(dir, { op: 'close', slot });
  }
}

/** A history that failed leaves descriptors to the next one. */
async function closeAll(agent: Agent, dir: string): Promise<void> {
  for (let slot = 0; slot < SLOTS; slot++) await agent.do(dir, { op: 'close', slot });
}

function namesIn(dir: string): string {
  try {
    const entries = fs.readdirSync(dir, { withFileTypes: true });
    return entries
      .map((each) => {
        const at = path.join(dir, each.name);
        return each.isSymbolicLink() ? `${each.name} -> ${fs.readlinkSync(at)}` : each.name;
      })
      .join(', ');
  } catch (error) {
    return String(error);
  }
}

const describe = (step: Operation): string => JSON.stringify(step).slice(0, 200);
