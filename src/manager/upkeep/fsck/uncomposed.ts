/** Finds envs whose stack needs a composition and has none; it is made at the end of a repair. */

import { decodeEnv, type EnvRow } from '../../../codec/store-rows.ts';
import { compositionName } from '../../../store/compositions.ts';
import { idKey, textKey } from '../../../store/keys.ts';
import { isScratch } from '../../../store/names.ts';
import type { StackRef, Store } from '../../../store/store.ts';
import { compose } from '../../recipes/compose/compose.ts';
import { needsComposition } from '../../recipes/compose/needed.ts';
import { accessTo } from '../../sandbox/store-access.ts';
import { BY_REPAIR, damage, type Finding, type Found } from './finding.ts';
import type { Job } from './job.ts';
import { eachRow, hasRow } from './rows.ts';
import { asFound } from './run.ts';

interface Uncomposed {
  readonly env: EnvRow;
  readonly stack: readonly StackRef[];
}

/** Yields a finding for each such env. */
export function* checkUncomposed(job: Job): Generator<Found> {
  for (const each of uncomposed(job)) yield asDamage(job, each);
}

/**
 * Makes the missing compositions, each in a scratch env like any other.
 * @param store of the same root, open for writing
 * @param sound false if templates are damaged: their compositions would be, too
 */
export async function repairUncomposed(job: Job, store: Store, sound: boolean): Promise<Finding[]> {
  const findings: Finding[] = [];
  /** For each stack: why it could not be composed, or null. */
  const failed = new Map<string, string | null>();
  // All are listed before the first one is made.
  for (const each of [...uncomposed(job)]) {
    const name = compositionName(each.stack);
    if (!failed.has(name)) failed.set(name, sound ? await tryIt(store, each) : DAMAGED);
    const why = failed.get(name) ?? null;
    const finding = asFound(asDamage(job, each));
    if (why === null) findings.push({ ...finding, repaired: true });
    else findings.push({ ...finding, remedy: `${finding.remedy} (not now: ${why})` });
  }
  return findings;
}

const DAMAGED = 'templates are damaged';

async function tryIt(store: Store, { stack }: Uncomposed): Promise<string | null> {
  try {
    await compose(accessTo(store), stack);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

function asDamage(job: Job, { env, stack }: Uncomposed): Found {
  const parts = stack.map(({ templateId, version }) => job.versionName(templateId, version));
  const what = `nothing is composed for ${parts.join(' + ')}: of the files that these share, it shows those of the topmost one`;
  return damage('envs.composition', `env ${env.name}`, what, BY_REPAIR);
}

function* uncomposed(job: Job): Generator<Uncomposed> {
  for (const { key, value: env } of eachRow(job.tables, 'envs', decodeEnv)) {
    // A composition may just be being made in a scratch env.
    if (!key.equals(idKey(env.id)) || isScratch(env.name)) continue;
    const stack = soundStack(job, env);
    if (stack === null || !needsComposition(job.store.catalog, stack)) continue;
    if (!hasRow(job.tables, 'templateNames', textKey(compositionName(stack)))) {
      yield { env, stack };
    }
  }
}

/**
 * Returns the stack that the env sees; null if it, or a base of its apps, is damaged: that is a finding by
 * itself.
 */
function soundStack(job: Job, { stack }: EnvRow): StackRef[] | null {
  const refs = job.plainStack(stack);
  if (new Set(refs.map(({ templateId }) => templateId)).size < refs.length) return null;
  if (!refs.every((ref) => isThere(job, ref))) return null;
  const bases = refs.map((ref) => job.store.catalog.version(ref.templateId, ref.version)?.base);
  return bases.every((base) => !base || isThere(job, base)) ? refs : null;
}

function isThere(job: Job, { templateId, version }: StackRef): boolean {
  const { versions = [], unreadVersions } = job.catalog.get(templateId) ?? {};
  return versions.includes(version) && unreadVersions?.has(version) === false;
}
