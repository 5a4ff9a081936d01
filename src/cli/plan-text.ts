import { formatSize } from '../base/size.ts';
import { type AppFit, fits } from '../patch/app-fits.ts';
import type { MeetState } from '../patch/meets.ts';
import type { PatchPlan, PlannedEnv, PlannedMeet } from '../patch/plan.ts';
import { printLines } from './print.ts';

const STATES: Readonly<Record<MeetState, string>> = {
  clean: 'clean',
  private: 'private copy wins',
  equal: 'private and equal',
  deleted: 'deleted by the env',
  'type-changed': 'type changed',
  'in-use': 'open or mapped now',
};

/** Prints a plan for people: what changes in the template, then per env what is not clean. */
export function printPlan(plan: PatchPlan): void {
  printLines(...planLines(plan));
}

function planLines(plan: PatchPlan): string[] {
  const { template, from, to, label, note, names, envs, pinned } = plan;
  const called = label === '' ? '' : ` (${label})`;
  const lines = [`${template}: ${from} -> ${to}${called}`];
  if (note !== '') lines.push(...note.split('\n').map((line) => `  ${line}`));
  const count = (kind: string): number => names.filter((name) => name.kind === kind).length;
  lines.push(
    `  ${count('A')} to add, ${count('C')} to change, ${count('D')} to remove; ${formatSize(plan.addedBytes)} new`,
    ...names.map(({ kind, path }) => `${kind} ${path}`),
    `${envs.length} ${envs.length === 1 ? 'env goes' : 'envs go'} along`,
    ...envs.flatMap(envLines),
    ...plan.apps.map((app) => appLine(template, to, app)),
    ...pinned.map(({ name, version }) => `${name} stays at ${version} (pinned)`),
  );
  return lines;
}

function envLines({ name, state, counts, names }: PlannedEnv): string[] {
  const parts = (Object.keys(STATES) as MeetState[])
    .filter((key) => counts[key] > 0)
    .map((key) => `${counts[key]} ${STATES[key]}`);
  return [`${name} (${state}): ${parts.join(', ') || 'nothing'}`, ...names.map(meetLine)];
}

function meetLine({ kind, path, state, action }: PlannedMeet): string {
  const does = action === null || action === 'keep' ? '' : `, ${action}`;
  return `  ${kind} ${path}: ${STATES[state]}${does}`;
}

const PATHS_SHOWN = 3;

/** @param os the OS template, which goes to version `to` */
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
