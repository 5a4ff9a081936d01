/**
 * `byref fsck`: checks every invariant of a root, and repairs what can be repaired without guessing.
 *
 * Everything else follows from link records and the rows of templates, versions and envs. Indexes, counters and
 * counts are rebuilt from them; what they themselves lost, only a backup has.
 */

import path from 'node:path';
import { Damaged, reasonOf } from '../../../base/damaged.ts';
import { ByrefError } from '../../../base/error.ts';
import { sweepTemporaryDirs } from '../../../base/temporary-dir.ts';
import { decodeEnv } from '../../../codec/store-rows.ts';
import { type Alone, takeAlone } from '../../../store/alone.ts';
import { objectKey } from '../../../store/keys.ts';
import { FORMAT, MARKER, rootFormat } from '../../../store/marker.ts';
import type { Patience } from '../../../store/patience.ts';
import { metaDir } from '../../../store/root.ts';
import { Store } from '../../../store/store.ts';
import { openTables } from '../../../store/tables.ts';
import { upgradeRoot } from '../../../store/upgrade.ts';
import { tellReplaced } from '../../envs/tell-replaced.ts';
import { checkAccounts } from './accounts.ts';
import { brokenObjects, type Fetched, fetchObjects } from './broken-objects.ts';
import { checkCatalog } from './catalog.ts';
import { checkChanges } from './changes.ts';
import { checkCompositions } from './compositions.ts';
import { checkCounters } from './counters.ts';
import { checkDeltas } from './delta.ts';
import { checkDictionary } from './dictionary.ts';
import { checkEnvs } from './envs.ts';
import { type BrokenObject, damage, type Finding, type Found } from './finding.ts';
import { checkInodes } from './inodes.ts';
import { type FsckProgress, Job, type JobOptions, nothing } from './job.ts';
import { checkKeys } from './keys.ts';
import { checkLeftovers } from './leftovers.ts';
import { checkLinkCounts } from './link-counts.ts';
import { checkLinks } from './links.ts';
import { checkContent } from './object-content.ts';
import { checkObjectFiles } from './object-leftovers.ts';
import { checkObjects } from './objects.ts';
import { checkPatches } from './patches.ts';
import { type EnvReaders, type FsckResult, idOf, report } from './report.ts';
import { checkRoot, missingTables, type RootFacts } from './root-layout.ts';
import { checkRowSums } from './row-sums.ts';
import { eachRow, hasRow } from './rows.ts';
import { asFound, repair } from './run.ts';
import { checkUncomposed, repairUncomposed } from './uncomposed.ts';
import { checkVersionCounts } from './version-counts.ts';
import { checkIdentities } from './version-identities.ts';

/** How a root is checked. */
export interface FsckOptions {
  /** Also run checks that read every object, and every version of every directory. */
  readonly full: boolean;
  /** Repair what can be repaired; takes the writer's lock. */
  readonly repair: boolean;
  /** For a repair: let envs go on from what there is of a journal that is damaged or lost. */
  readonly acceptLoss?: boolean;
  /** For a repair: remove what is in the lost+found of envs. */
  readonly removeLost?: boolean;
  /** Also ask apt whether the packages of envs fit together. */
  readonly packages?: boolean;
  readonly progress?: (state: FsckProgress) => void;
  /** For a repair: how long to wait for other writers. */
  readonly patience?: Patience;
}

type Check = (job: Job) => Iterable<Found>;

/** In this order: each check may rely on what those before it learned and, in a repair, repaired. */
const STORE_CHECKS: readonly Check[] = [
  checkKeys,
  checkRowSums,
  checkCatalog,
  checkDictionary,
  checkLinks,
  checkInodes,
];
/** Checks of tables that came with a later format. */
const FORMAT_CHECKS: readonly { readonly since: number; readonly checks: readonly Check[] }[] = [
  { since: 2, checks: [checkChanges, checkPatches] },
  { since: 3, checks: [checkAccounts] },
];
const FULL_CHECKS: readonly Check[] = [checkLinkCounts, checkVersionCounts, checkIdentities];
const LAST_CHECKS: readonly Check[] = [checkObjects, checkCompositions, checkEnvs, checkCounters];
/** Checks that run after those of the deltas. */
const LEFTOVER_CHECKS: readonly Check[] = [checkObjectFiles, checkLeftovers];

/**
 * Checks a root in whatever state it is; a row that can't be read is a finding. Envs may be mounted.
 * @throws ByrefError 'notFound' if `root` is not a byref root, 'corrupt' if a newer byref made it, 'locked'
 *   (repair) while another process writes to it
 */
export async function fsck(root: string, options: FsckOptions): Promise<FsckResult> {
  const facts = checkRoot(root);
  if (!facts.readable) return { checked: nothing(), findings: report(facts.found.map(asFound)) };
  const { full, repair, progress = () => undefined, patience } = options;
  const { acceptLoss = false, removeLost = false, packages = false } = options;
  const given = { full, repair, progress, acceptLoss, removeLost, packages };
  if (!repair) return checkOnly(root, facts, { ...given, format: facts.format });
  sweepTemporaryDirs();
  const format = await upgraded(root, facts, patience);
  const job = { ...given, format };
  const first = await whileAlone(root, patience, (locks) =>
    checkAndRepair(root, facts, job, locks),
  );
  if (first.toFetch.length === 0) return resultOf(first);
  const fetched = await fetchAll(root, job, first.toFetch);
  return resultOf(
    await whileAlone(root, patience, (locks) => putBack(root, job, { first, fetched }, locks)),
  );
}

/** Does a part of a repair with both locks. */
async function whileAlone<T>(
  root: string,
  patience: Patience | undefined,
  work: (locks: Alone) => Promise<T>,
): Promise<T> {
  const alone = await takeAlone(root, patience);
  try {
    return await work(alone);
  } finally {
    alone.objects.release();
    alone.writer.release();
  }
}

const resultOf = ({ checked, findings, oldReaders }: Repaired): FsckResult => ({
  checked,
  findings: report(findings),
  oldReaders,
});

/** Upgrades the root and returns its format then; a row that can't be read prevents the upgrade. */
async function upgraded(
  root: string,
  { format, found }: RootFacts,
  patience: Patience | undefined,
): Promise<number> {
  // A damaged marker is repaired last: the next command upgrades the root.
  if (format >= FORMAT || found.some(({ check }) => check === 'root.marker')) return format;
  try {
    await upgradeRoot(root, patience);
    return rootFormat(root);
  } catch (error) {
    if (error instanceof ByrefError && !(error instanceof Damaged)) throw error;
    const what = `it is of format ${format}, and can't be upgraded: ${reasonOf(error)}`;
    const remedy = "see the rows below that can't be read";
    found.push(damage('root.marker', path.join(root, MARKER), what, remedy));
    return format;
  }
}

/** Checks without writing anything. Does not report what another process was just in the middle of writing. */
async function checkOnly(root: string, facts: RootFacts, options: JobOptions): Promise<FsckResult> {
  const first = [...facts.found, ...(await missingTables(root, facts.format))];
  const tables = openTables(metaDir(root), { write: false });
  try {
    const store = new Store(root, tables, null);
    const job = new Job(store, options);
    // There is no await in here, so that all checks see the store at one moment.
    const found = runAll(job, storeChecks(job));
    job.doubtful = [...first, ...found].some(isOfTemplates);
    const deltas: Finding[] = [];
    for await (const finding of checkDeltas(job)) deltas.push(finding);
    found.push(...runAll(job, LEFTOVER_CHECKS));
    const sure = found.length === 0 ? [] : again(job, found);
    const content = options.full ? [...checkContent(job)] : [];
    const findings = [...[...first, ...sure, ...content].map(asFound), ...deltas];
    return { checked: job.checked, findings: report(findings) };
  } finally {
    await tables.close();
  }
}

/** Returns true for damage in what envs have below them. */
const isOfTemplates = ({ check, severity }: Pick<Finding, 'check' | 'severity'>): boolean =>
  severity === 'error' &&
  /^(root\.tables|root\.rows|catalog\.(?!base)|dirs|links|inodes)/.test(check);

const runAll = (job: Job, checks: readonly Check[]): Found[] =>
  checks.flatMap((check) => [...check(job)]);

/** Checks again and returns what is found twice: files may appear or vanish after their rows were read. */
function again(before: Job, found: readonly Found[]): Found[] {
  before.tables.refresh();
  const job = new Job(before.store, before.options);
  for (const id of before.deltaObjects) job.deltaObjects.add(id);
  job.unreadDeltas = before.unreadDeltas;
  const known = new Set(found.map(idOf));
  const now = runAll(job, [...storeChecks(job), ...LEFTOVER_CHECKS]);
  return now.filter((finding) => known.has(idOf(finding)));
}

function storeChecks({ options }: Job): Check[] {
  return [
    ...STORE_CHECKS,
    ...FORMAT_CHECKS.flatMap(({ since, checks }) => (options.format >= since ? checks : [])),
    ...(options.full ? FULL_CHECKS : []),
    ...LAST_CHECKS,
    // A repair composes what is missing after all else is right.
    ...(options.repair ? [] : [checkUncomposed]),
  ];
}

/** What a repair has done so far. */
interface Repaired extends Pick<FsckResult, 'checked'> {
  readonly findings: readonly Finding[];
  readonly oldReaders: readonly EnvReaders[];
  /** Broken objects that are left, until it was looked for their bytes in packages. */
  readonly toFetch: readonly BrokenObject[];
}

/**
 * Repairs after each check, so that the next one sees the result. Every step is complete by itself: a run that
 * is cut short has done some of them, and the next run does the others.
 */
async function checkAndRepair(
  root: string,
  facts: RootFacts,
  options: JobOptions,
  locks: Alone,
): Promise<Repaired> {
  const missing = await missingTables(root, options.format);
  const tables = openTables(metaDir(root), { write: true });
  try {
    const isMarker = ({ check }: Found): boolean => check === 'root.marker';
    const findings = repair(tables, [
      ...facts.found.filter((finding) => !isMarker(finding)),
      ...missing,
    ]);
    const job = new Job(new Store(root, tables, null), options);
    for (const check of storeChecks(job)) findings.push(...repair(tables, [...check(job)]));
    job.doubtful = findings.some((finding) => isOfTemplates(finding) && !finding.repaired);
    for await (const finding of checkDeltas(job)) findings.push(finding);
    for (const check of LEFTOVER_CHECKS) findings.push(...repair(tables, [...check(job)]));
    if (options.full) findings.push(...repair(tables, [...checkContent(job)]));
    // The marker comes last: it says that all tables of this format exist and are right.
    findings.push(...repair(tables, facts.found.filter(isMarker)));
    const { checked } = job;
    const toFetch = [...job.toFetch.values()];
    // Compositions are made of what is fetched, too.
    if (toFetch.length === 0) findings.push(...(await composeMissing(job, findings, locks)));
    return { checked, findings, oldReaders: await tellDrivers(job), toFetch };
  } finally {
    await tables.close();
  }
}

/** Fetches the packages of broken objects; others may write to the root meanwhile. */
async function fetchAll(
  root: string,
  options: JobOptions,
  broken: readonly BrokenObject[],
): Promise<Fetched> {
  const tables = openTables(metaDir(root), { write: false });
  try {
    return fetchObjects(new Job(new Store(root, tables, null), options), broken);
  } finally {
    await tables.close();
  }
}

/** Puts back what was fetched, unless it was removed meanwhile, and finishes the repair. */
async function putBack(
  root: string,
  options: JobOptions,
  { first, fetched }: { readonly first: Repaired; readonly fetched: Fetched },
  locks: Alone,
): Promise<Repaired> {
  const tables = openTables(metaDir(root), { write: true });
  try {
    const job = new Job(new Store(root, tables, null), options);
    const left = first.toFetch.filter(({ id }) => hasRow(tables, 'objects', objectKey(id)));
    const findings = [...first.findings, ...repair(tables, [...brokenObjects(job, left, fetched)])];
    findings.push(...(await composeMissing(job, findings, locks)));
    const oldReaders = [...first.oldReaders, ...(await tellDrivers(job))];
    return { checked: first.checked, findings, oldReaders, toFetch: [] };
  } finally {
    await tables.close();
  }
}

/** Makes missing compositions, unless something that they are made of is damaged. */
function composeMissing(
  { root, tables, options }: Job,
  findings: readonly Finding[],
  { writer, objects }: Alone,
): Promise<Finding[]> {
  const sound = !findings.some((finding) => isOfTemplates(finding) && !finding.repaired);
  // Composing stores objects, too.
  objects.release();
  const store = new Store(root, tables, writer);
  return repairUncomposed(new Job(store, options), store, sound);
}

/** Has drivers read objects anew that were replaced or moved away. */
async function tellDrivers(job: Job): Promise<EnvReaders[]> {
  const shards = [...eachRow(job.tables, 'envs', decodeEnv)].map(({ value }) => value.shard);
  const readers = await tellReplaced(job.root, shards, job.store.objects.changed);
  return readers.map(({ env, files }) => ({ env: job.envName(env).replace(/^env /, ''), files }));
}
