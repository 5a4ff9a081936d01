import { formatSize } from '../base/size.ts';
import { ownText } from '../manager/merge/packages.ts';
import { type AppFit, fits } from '../manager/rollout/app-fits.ts';
import type { MeetState } from '../manager/rollout/meets.ts';
import type { PatchPlan, PlannedEnv, PlannedMeet } from '../manager/rollout/plan.ts';
import { printLines } from './print.ts';

const STATES: Readonly<Record<MeetState, string>> = {
  clean: 'clean',
  attributes: 'attributes only',
  private: 'private copy wins',
  equal: 'private and equal',
  deleted: 'deleted by the env',
  'type-changed': 'type changed',
  'in-use': 'open or mapped now',
};

/** What a policy does with a private copy. */
const DOES = {
  take: 'private copy, will be set aside (take)',
  merge: 'private copy, will be merged with the change (merge)',
} as const;

/**
 * Prints a plan for people: what changes in the template, then for each env what does not simply follow.
 * @param summary print counts instead of names, and one line for envs of which the same is to be said
 */
export function printPlan(plan: PatchPlan, summary: boolean): void {
  printLines(...planLines(plan, summary));
}

function planLines(plan: PatchPlan, summary: boolean): string[] {
  const { template, from, to, label, note, names, envs, pinned } = plan;
  const called = label === '' ? '' : ` (${label})`;
  const lines = [`${template}: ${from} -> ${to}${called}`];
  if (note !== '') lines.push(...note.split('\n').map((line) => `  ${line}`));
  const count = (kind: string): number => names.filter((name) => name.kind === kind).length;
  lines.push(
    `  ${count('A')} to add, ${count('C')} to change, ${count('D')} to remove; ${formatSize(plan.addedBytes)} new`,
    ...(summary ? [] : names.map(({ kind, path }) => `${kind} ${path}`)),
    `${envs.length} ${envs.length === 1 ? 'env goes' : 'envs go'} along`,
    ...(summary ? groupLines(envs) : envs.flatMap(envLines)),
    ...plan.apps.map((app) => appLine(template, to, app)),
    ...pinned.map(({ name, version }) => `${name} stays at ${version} (pinned)`),
  );
  return lines;
}

function envLines(env: PlannedEnv): string[] {
  const { name, state, names } = env;
  return [`${name} (${state}): ${countsText(env)}`, ...packageLines(env), ...names.map(meetLine)];
}

function countsText({ counts }: PlannedEnv): string {
  const parts = (Object.keys(STATES) as MeetState[])
    .filter((key) => counts[key] > 0)
    .map((key) => `${counts[key]} ${STATES[key]}`);
  return parts.join(', ') || 'nothing';
}

const packageLines = (env: PlannedEnv): string[] => [...keptLines(env), ...unlikeLines(env)];

const keptLines = ({ packages, unmet, unjudged, completes }: PlannedEnv): string[] => [
  ...(completes ? ['  apt is to bring its own packages along; where it can’t, the env'] : []),
  ...packages.map((each) => `  keeps ${ownText(each)}`),
  ...unmet.map((line) => `  will not fit together: ${line}`),
  ...(unjudged === null ? [] : [`  its dependencies are not checked: ${unjudged}`]),
];

/** Says what differs from what dpkg would do on a plain system, and why; paths of one kind on one line. */
function unlikeLines({ unlikeDpkg }: PlannedEnv): string[] {
  const groups = new Map<string, string[]>();
  for (const each of unlikeDpkg) {
    const text = unlikeText(each);
    groups.set(text, [...(groups.get(text) ?? []), each.path]);
  }
  return [...groups].map(([text, paths]) => `  unlike dpkg: ${pathsText(paths)}: ${text}`);
}

type Unlike = PlannedEnv['unlikeDpkg'][number];

function unlikeText({ why, own = '', coming = '' }: Unlike): string {
  switch (why) {
    case 'refused':
      return `stays as ${own} has it; dpkg would refuse to unpack ${coming}, which has it, too, and does not replace the other`;
    case 'replaced':
      return `stays as ${own} has it, which replaces ${coming}; dpkg would leave it out of the latter’s list, where it will be`;
    case 'override':
      return 'its override (dpkg-statoverride) holds under all its names; dpkg would go by the name that it unpacks last';
    case 'diversion':
      return 'the new version comes here, too, since it was diverted without being moved and has other names; dpkg would leave the old one';
    case 'attributes':
      return 'the mode, owner or group that the env has set stays; dpkg would set the package’s, as no override (dpkg-statoverride) says otherwise';
    case 'deleted':
      return 'the env has removed it, and it stays away; dpkg would unpack it again';
  }
}

const ENVS_SHOWN = 3;

/** Groups envs of which the same is to be said; the largest group comes first. */
function groupLines(envs: readonly PlannedEnv[]): string[] {
  const groups = new Map<string, PlannedEnv[]>();
  for (const env of envs) {
    const key = [env.state, countsText(env), ...packageLines(env)].join('\n');
    groups.set(key, [...(groups.get(key) ?? []), env]);
  }
  return [...groups.values()]
    .sort((a, b) => b.length - a.length)
    .flatMap((group) => {
      const [first] = group;
      const shown = group.slice(0, ENVS_SHOWN).map(({ name }) => name);
      const more = group.length > ENVS_SHOWN ? ` and ${group.length - ENVS_SHOWN} more` : '';
      const line = `${shown.join(', ')}${more} (${first!.state}): ${countsText(first!)}`;
      return [line, ...packageLines(first!)];
    });
}

function meetLine({ kind, path, state, action, attributes }: PlannedMeet): string {
  if (attributes !== undefined)
    return `  ${kind} ${path}: ${STATES[state]} (${attributes.join(', ')})`;
  const own = action === null || action === 'keep' ? '' : action;
  if (own !== '' && state === 'private') return `  ${kind} ${path}: ${DOES[own]}`;
  return `  ${kind} ${path}: ${STATES[state]}${own === '' ? '' : `, ${own}`}`;
}

const PATHS_SHOWN = 3;

function pathsText(paths: readonly string[]): string {
  const more = paths.length - PATHS_SHOWN;
  return paths.slice(0, PATHS_SHOWN).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/**
 * Says whether an app stays as it is, or what to do about it. @param os the OS template, which goes to version
 * `to`
 */
export function appLine(os: string, to: number, fit: AppFit): string {
  const { app, version, builtOn, packages, paths, staged } = fit;
  if (fits(fit)) return `app ${app}@${version} is kept (built on ${os}@${builtOn})`;
  if (staged !== null) {
    return `app ${app}@${version} is kept for now; ${app}@${staged}, built on ${os}@${to}, is staged: byref patch ${app} after this`;
  }
  const why = [
    ...packages.map(({ name, own, base }) => `${name} ${own}, where ${os}@${to} has ${base}`),
    ...(packages.length > 0 ? [] : paths.slice(0, PATHS_SHOWN)),
    ...(packages.length > 0 || paths.length <= PATHS_SHOWN ? [] : ['...']),
  ];
  return `app ${app}@${version} is kept for now, and is to be built again: it has its own ${why.join(', ')}: byref template update ${app} --on ${to}`;
}
