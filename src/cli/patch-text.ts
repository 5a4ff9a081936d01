/** Describes patches for people. */

import type {
  CompletedPackages,
  EnvOutcome,
  FileAction,
  PatchedEnv,
  PatchRecord,
} from '../codec/patch-record.ts';
import { ownText } from '../manager/merge/packages.ts';

/** A record without its times. */
type Described = Omit<PatchRecord, 'startedMs' | 'endedMs'>;

/** Returns a line such as "nginx: 1 -> 2, done", and one for each thing that a reader has to know besides. */
export function describePatch(record: Described): string[] {
  const { envs, note } = record;
  const lines = [`${titleOf(record)}, ${stateText(record)}`];
  if (record.state === 'undone') lines.push(`  ${envsText(envs.length)} had it`);
  else lines.push(`  ${envCounts(envs) || 'no env follows it'}`);
  for (const env of envs) lines.push(...troubles(env));
  if (note !== '') lines.push(...note.split('\n').map((line) => `  ${line}`));
  return lines;
}

function titleOf({ kind, template, from, to, envs }: Described): string {
  const [env] = envs;
  if (kind === 'add') return `${template}: added to ${env?.name ?? '?'}`;
  if (kind === 'remove') return `${template}: removed from ${env?.name ?? '?'}`;
  return `${template}: ${kind} ${from} -> ${to}`;
}

function stateText({ id, state, template }: Described): string {
  switch (state) {
    case 'canary':
      return `waiting: byref patch ${template} takes it to all, byref rollback ${template} takes it back`;
    case 'undone':
      return 'taken back';
    case 'done':
      return `done (${id})`;
    case 'rolling':
      return 'under way';
    case 'acting':
      return 'the version moved; what could not be done in an env is tried again by the next command';
  }
}

const OUTCOMES: Readonly<Record<EnvOutcome, (count: number) => string>> = {
  flipped: (n) => `${envsText(n)} ${n === 1 ? 'sees' : 'see'} it now`,
  stopped: (n) => `${envsText(n)} when next mounted`,
  dead: (n) => `${envsText(n)} without a driver: unmount and mount ${n === 1 ? 'it' : 'them'}`,
  failed: (n) => `${envsText(n)} failed`,
  busy: (n) => `${envsText(n)} not yet: dpkg or apt is at work in ${n === 1 ? 'it' : 'them'}`,
};

/** Returns "1 env" or "2 envs". */
export const envsText = (count: number): string => `${count} ${count === 1 ? 'env' : 'envs'}`;

function envCounts(envs: readonly PatchedEnv[]): string {
  const parts = (['flipped', 'stopped', 'dead', 'failed', 'busy'] as const).flatMap((outcome) => {
    const count = envs.filter((env) => env.outcome === outcome).length;
    return count === 0 ? [] : [OUTCOMES[outcome](count)];
  });
  return parts.join(', ');
}

function troubles(env: PatchedEnv): string[] {
  const { name, own, removed, keptDirs, acts, error, outcome, packages = [] } = env;
  const { unmet = [], unjudged, completion } = env;
  const lines: string[] = [];
  if (error !== null) lines.push(`  ${name}: failed: ${error}`);
  else if (outcome === 'dead') lines.push(`  ${name}: has no driver`);
  else if (outcome === 'busy') lines.push(`  ${name}: not yet: dpkg or apt is at work in it`);
  if (packages.length > 0) lines.push(`  ${name} keeps ${packages.map(ownText).join(', ')}`);
  if (completion !== undefined) lines.push(`  ${name}: ${completionText(completion)}`);
  if (unmet.length > 0) lines.push(...unmetLines(name, unmet).map((line) => `  ${line}`));
  if (unjudged !== undefined)
    lines.push(`  ${name}: its dependencies were not checked: ${unjudged}`);
  const kept = [
    own > 0 ? `${own} changed ${own === 1 ? 'name is' : 'names are'} its own` : '',
    removed > 0 ? `${removed} it has removed` : '',
    keptDirs > 0 ? `${keptDirs} directories stay for what it has in them` : '',
  ].filter((part) => part !== '');
  if (kept.length > 0) lines.push(`  ${name}: ${kept.join(', ')}`);
  for (const act of acts) if (isTold(act)) lines.push(`  ${name}: ${act.path}: ${actText(act)}`);
  const left = acts.reduce((sum, act) => sum + (act.left ?? 0), 0);
  if (left > 0) {
    const names = left === 1 ? '1 name stays' : `${left} names stay`;
    lines.push(
      `  ${name}: ${names} its own: programs have them open, or it changed them meanwhile; byref relink ${name}, once those are restarted`,
    );
  }
  return lines;
}

function completionText({ packages, why, done }: CompletedPackages): string {
  if (why !== undefined) return `apt could not bring its own packages along: ${why}`;
  return `apt ${done ? 'brought' : 'is to bring'} its own packages along: ${packages.join(', ')}`;
}

const UNMET_SHOWN = 10;

/** Returns the lines about unmet dependencies, in apt's words. */
export function unmetLines(name: string, unmet: readonly string[]): string[] {
  const more = unmet.length - UNMET_SHOWN;
  return [
    `${name}: packages do not fit together (byref changed nothing of its own; run apt-get --fix-broken install in it):`,
    ...unmet.slice(0, UNMET_SHOWN).map((line) => `  ${line}`),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ];
}

/**
 * Tells whether an action is printed. dpkg's records follow their packages, and need no attention unless something
 * could not be done.
 */
const isTold = ({ what, why, done }: FileAction): boolean =>
  what === 'steps' ? false : what !== 'updated' || why !== undefined || !done;

/** Describes one action. */
export function actText({ what, why, done }: FileAction): string {
  if (!done)
    return `to be ${what === 'taken' ? 'set aside' : what}${why === undefined ? '' : ` (${why})`}`;
  switch (what) {
    case 'taken':
      return 'set aside, the template’s shows';
    case 'merged':
      return `merged; its own is set aside${why === undefined ? '' : `; ${why}`}`;
    case 'updated':
      return `merged${why === undefined ? '' : `; ${why}`}`;
    case 'steps':
      return 'made';
    case 'conflict':
      return `stays its own: ${why ?? 'conflict'}`;
    case 'restored':
      return 'put back';
    case 'changed':
      return 'not put back: the env has changed it since';
  }
}
