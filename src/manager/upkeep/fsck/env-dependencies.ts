/**
 * Compares what apt says of the packages in an env with what the records of its patches say. apt judges the records, as it does
 * for a plan (packages/apt-judge.ts): nothing runs in the env.
 */
import { decodePatchEnvs, decodePatchHead } from '../../../codec/patch-record.ts';
import { type DeltaView, readDelta } from '../../../driver/delta/read-delta.ts';
import { isUnfinished } from '../../../store/patch-rows.ts';
import { type EnvRow, envDir } from '../../../store/store.ts';
import type { Packages } from '../../merge/packages.ts';
import { judge, keyOfText, statusOf, type Unmet } from '../../packages/apt-judge.ts';
import { architecturesIn } from '../../packages/dependencies.ts';
import { EnvTree } from '../../packages/env-tree.ts';
import { ownStatus } from '../../packages/own-packages.ts';
import { packagesIn } from '../../packages/package-files.ts';
import type { Finding } from './finding.ts';
import type { Job } from './job.ts';
import { eachRow, readRow } from './rows.ts';

/** Asks apt about one env after the other. */
export class EnvDependencies {
  private readonly job: Job;
  private said: ReadonlyMap<number, Said> | null = null;

  constructor(job: Job) {
    this.job = job;
  }

  /**
   * Returns what is not met in an env, and what neither a patch nor its templates say. Nothing for an env that a patch is just
   * taking along, or whose packages are those of its templates.
   */
  async check(row: EnvRow): Promise<Finding[]> {
    const { job } = this;
    if (job.doubtful) return [];
    this.said ??= saidIn(job);
    const said = this.said.get(row.id);
    if (said?.isOnTheWay === true) return [];
    const sides = await readSides(job, row);
    if (sides === null) return [];
    const found = await judgedOf(sides);
    if ('unable' in found) return [unjudged(row, found.unable)];
    const more = found.unmet.filter(({ key }) => said?.keys.has(key) !== true);
    return more.map((each) => notSaid(row, each));
  }
}

const warning = (where: string, what: string, remedy: string): Finding => ({
  check: 'delta.dependencies',
  severity: 'warning',
  where,
  what,
  remedy,
  repaired: false,
});

const notSaid = ({ name }: EnvRow, { text }: Unmet): Finding =>
  warning(
    `env ${name}`,
    `its packages do not fit together, and no patch said so: ${text}`,
    'run apt-get --fix-broken install in it; byref stale --packages says which packages it has otherwise than its templates',
  );

const unjudged = ({ name }: EnvRow, why: string): Finding =>
  warning(
    `env ${name}`,
    `its dependencies were not checked: ${why}`,
    'run byref fsck --packages again, once that is mended',
  );

/** The packages of an env, and of its templates. */
interface Sides {
  readonly ours: Packages;
  readonly theirs: Packages;
  readonly architectures: readonly string[];
}

/** Returns them; null for an env that has nothing of its own in what apt judges. */
async function readSides(job: Job, row: EnvRow): Promise<Sides | null> {
  let view: DeltaView | null = null;
  try {
    view = await readDelta(envDir(job.root, row.id));
    return sidesOf(job, row, view);
  } catch {
    // What can't be read is another check's finding.
    return null;
  } finally {
    await view?.close();
  }
}

function sidesOf({ store }: Job, row: EnvRow, view: DeltaView): Sides | null {
  const lower = store.lowerTree(store.resolveStack(row));
  const tree = new EnvTree(store, lower, { id: row.id, view });
  const ours = ownStatus(tree, view);
  if (ours === null) return null;
  const theirs = packagesIn(new EnvTree(store, lower, null));
  if (statusOf(ours.values()) === statusOf(theirs.values())) return null;
  return { ours, theirs, architectures: architecturesIn(tree, ours) };
}

/** Returns what is not met in the env, and is in its templates; or why apt can't say so. */
async function judgedOf({ ours, theirs, architectures }: Sides): ReturnType<typeof judge> {
  const now = await judge(ours.values(), architectures);
  if ('unable' in now || now.unmet.length === 0) return now;
  const below = await judge(theirs.values(), architectures);
  if ('unable' in below) return below;
  const known = new Set(below.unmet.map(({ key }) => key));
  return { unmet: now.unmet.filter(({ key }) => !known.has(key)) };
}

/** What the records of patches say about one env. */
interface Said {
  /** The dependencies that they said would not be met, by key. */
  readonly keys: ReadonlySet<string>;
  /** True if a patch has not come to its end in it. */
  readonly isOnTheWay: boolean;
}

function saidIn({ tables }: Job): Map<number, Said> {
  const found = new Map<number, { keys: Set<string>; isOnTheWay: boolean }>();
  for (const { key: patch, value: envs } of eachRow(tables, 'patchEnvs', decodeUnmet)) {
    const head = readRow(tables, 'patches', patch, decodePatchHead) ?? null;
    for (const { id, keys } of envs) {
      const said = found.get(id) ?? { keys: new Set<string>(), isOnTheWay: false };
      if (head !== null && isUnfinished(head)) said.isOnTheWay = true;
      for (const key of keys) said.keys.add(key);
      found.set(id, said);
    }
  }
  return found;
}

/** Reads all that is needed of a row at once, because its JSON may be anything. */
const decodeUnmet = (value: Buffer): { readonly id: number; readonly keys: readonly string[] }[] =>
  decodePatchEnvs(value).map(({ id, unmet = [] }) => ({
    id,
    keys: unmet.map((text) => keyOfText(text) ?? text),
  }));
