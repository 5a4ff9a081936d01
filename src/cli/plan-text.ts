import type { MeetState } from '../patch/meets.ts';
import type { PatchPlan, PlannedEnv, PlannedMeet } from '../patch/plan.ts';
import { formatSize } from './size.ts';

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
  process.stdout.write(`${planLines(plan).join('\n')}\n`);
}

function planLines(plan: PatchPlan): string[] {
  const { template, from, to, label, note, names, envs, pinned } = plan;
  const called = label === '' ? '' : ` (${label})`;
  const lines = [`${template}: ${from} -> ${to}${called}`];
  if (note !== '') lines.push(`  ${note}`);
  const count = (kind: string): number => names.filter((name) => name.kind === kind).length;
  lines.push(
    `  ${count('A')} to add, ${count('C')} to change, ${count('D')} to remove; ${formatSize(plan.addedBytes)} new`,
    ...names.map(({ kind, path }) => `${kind} ${path}`),
    `${envs.length} ${envs.length === 1 ? 'env goes' : 'envs go'} along`,
    ...envs.flatMap(envLines),
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
