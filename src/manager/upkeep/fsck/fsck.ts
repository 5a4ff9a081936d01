/**
 * `byref fsck`: checks every invariant of a root, and repairs what can be repaired without guessing.
 *
 * Link records and the rows of templates, versions and envs are what everything else follows from. Indexes, counters and
 * counts are made anew from them; what they themselves lost, only a backup has.
 */
import path from 'node:path';
import { ByrefError } from '../../../base/error.ts';
import { type Alone, takeAlone } from '../../../store/alone.ts';
import type { Patience } from '../../../store/patience.ts';
import { FORMAT, MARKER, metaDir } from '../../../store/root.ts';
import { Store } from '../../../store/store.ts';
import { openTables } from '../../../store/tables.ts';
import { upgradeRoot } from '../../../store/upgrade.ts';
import { checkAccounts } from './accounts.ts';
import { checkCatalog } from './catalog.ts';
import { checkChanges } from './changes.ts';
import { checkCompositions } from './compositions.ts';
import { checkCounters } from './counters.ts';
import { checkDeltas } from './delta.ts';
import { checkDictionary } from './dictionary.ts';
import { checkEnvs } from './envs.ts';
import { damage, type Finding, type Found } from './finding.ts';
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
import { type FsckResult, idOf, report } from './report.ts';
import { checkRoot, missingTables, type RootFacts } from './root-layout.ts';
import { asFound, repair } from './run.ts';
import { checkUncomposed, repairUncomposed } from './uncomposed.ts';
import { checkVersionCounts } from './version-counts.ts';

export interface FsckOptions {
  /** Also what takes reading every object, and every version of every directory. */
  readonly full: boolean;
  /** Takes the writer role. */
  readonly repair: boolean;
  readonly progress?: (state: FsckProgress) => void;
  /** Of a repair, with other writers. */
  readonly patience?: Patience;
}

type Check = (job: Job) => Iterable<Found>;

/** Each may rely on what those before it learned and, in a repair, put right. */
const STORE_CHECKS: readonly Check[] = [
  checkKeys,
  checkCatalog,
  checkDictionary,
  checkLinks,
  checkInodes,
];
/** Of what came with a format. */
const FORMAT_CHECKS: readonly { readonly since: number; readonly checks: readonly Check[] }[] = [
  { since: 2, checks: [checkChanges, checkPatches] },
  { since: 3, checks: [checkAccounts] },
];
const FULL_CHECKS: readonly Check[] = [checkLinkCounts, checkVersionCounts];
const LAST_CHECKS: readonly Check[] = [checkObjects, checkCompositions, checkEnvs, checkCounters];
/** After the deltas. */
const LEFTOVER_CHECKS: readonly Check[] = [checkObjectFiles, checkLeftovers];

/**
 * Checks a root, whatever state it is in: a row that can't be read is a finding. Envs may be mounted.
 * @throws ByrefError 'notFound' if `root` is none, 'corrupt' if a newer byref made it, 'locked' (repair) while another
 *   process writes to it
 */
export async function fsck(root: string, options: FsckOptions): Promise<FsckResult> {
  const facts = checkRoot(root);
  if (!facts.readable) return { checked: nothing(), findings: report(facts.found.map(asFound)) };
  const { full, repair, progress = () => undefined, patience } = options;
  if (!repair) return checkOnly(root, facts, { full, repair, format: facts.format, progress });
  const format = await upgraded(root, facts, patience);
  const alone = await takeAlone(root, patience);
  try {
    return await checkAndRepair(root, facts, { full, repair, format, progress }, alone);
  } finally {
    alone.objects.release();
    alone.writer.release();
  }
}

/** The format after an upgrade, which a row that can't be read keeps from being made. */
async function upgraded(
  root: string,
  { format, found }: RootFacts,
  patience: Patience | undefined,
): Promise<number> {
  if (format >= FORMAT) return format;
  try {
    await upgradeRoot(root, patience);
    return FORMAT;
  } catch (error) {
    if (error instanceof ByrefError) throw error;
    const what = `it is of format ${format}, and can't be upgraded: ${(error as Error).message}`;
    const remedy = "see the rows below that can't be read";
    found.push(damage('root.marker', path.join(root, MARKER), what, remedy));
    return format;
  }
}

/** Nothing is written, and nothing is reported that was only being written by somebody else. */
async function checkOnly(root: string, facts: RootFacts, options: JobOptions): Promise<FsckResult> {
  const first = [...facts.found, ...(await missingTables(root, facts.format))];
  const tables = openTables(metaDir(root), { write: false });
  try {
    const store = new Store(root, tables, null);
    const job = new Job(store, options);
    // No await within: all of it sees one moment of the store.
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

/** True for damage in what envs have beneath them. */
const isOfTemplates = ({ check, severity }: Pick<Finding, 'check' | 'severity'>): boolean =>
  severity === 'error' && /^(root\.tables|catalog\.(?!base)|dirs|links|inodes)/.test(check);

const runAll = (job: Job, checks: readonly Check[]): Found[] =>
  checks.flatMap((check) => [...check(job)]);

/** What is found a second time, later: files come and go between a row's being read and theirs. */
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
    // A repair makes what they lack, when all else is right.
    ...(options.repair ? [] : [checkUncomposed]),
  ];
}

/**
 * Check by check, so that each sees what was repaired before it. Every step is whole by itself: a run that is cut short
 * has done some of them, and the next one does the others.
 */
async function checkAndRepair(
  root: string,
  facts: RootFacts,
  options: JobOptions,
  { writer, objects }: Alone,
): Promise<FsckResult> {
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
    // Last: it says that all tables of this format are there and right.
    findings.push(...repair(tables, facts.found.filter(isMarker)));
    const sound = !findings.some((finding) => isOfTemplates(finding) && !finding.repaired);
    // What is made here is stored, too.
    objects.release();
    const store = new Store(root, tables, writer);
    findings.push(...(await repairUncomposed(new Job(store, options), store, sound)));
    return { checked: job.checked, findings: report(findings) };
  } finally {
    await tables.close();
  }
}
