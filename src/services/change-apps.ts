/** `byref app add` and `byref app remove`: change the apps of one env, mounted or not, in one step. */
import { ByrefError } from '../base/error.ts';
import type { PatchKind, PatchRecord, Policy } from '../codec/patch-record.ts';
import type { BusyWaitOptions } from '../manager/rollout/busy.ts';
import { checkDependencyPolicies } from '../manager/rollout/dependency-policy.ts';
import { entryOf } from '../manager/rollout/followers.ts';
import { takePatchLock } from '../manager/rollout/lock.ts';
import { prepareStacks } from '../manager/rollout/prepare-stacks.ts';
import { PatchRun } from '../manager/rollout/run.ts';
import type { EnvRow, StackEntry, Store, TemplateRow } from '../store/store.ts';

/** Options of addApps(), removeApps() and pinEnv(). */
export interface AppOptions extends BusyWaitOptions {
  /** Policies about dependencies between packages. */
  readonly policies?: readonly Policy[];
  readonly signal?: AbortSignal;
}

/** The outcome of addApps() and removeApps(). */
export interface AppsChanged {
  /** Null: the env was so already. */
  readonly record: PatchRecord | null;
  /** Sentences about what was decided where apps share files. */
  readonly notes: readonly string[];
}

/**
 * Puts apps on top of an env's stack. Apps that it has already stay where they are.
 * @param refs NAME (follows) or NAME@VERSION (pinned), from the bottom up
 * @throws ByrefError 'notFound'; 'usage'; 'exists' for NAME@VERSION if the env has the app, but not pinned to that version;
 *   'badInput' for apps that can't be in one env; 'locked'
 */
export async function addApps(
  store: Store,
  row: EnvRow,
  refs: readonly string[],
  options: AppOptions = {},
): Promise<AppsChanged> {
  const entries = store.appEntries(refs);
  const wanted = refs.map((ref, i) => ({ entry: entries[i]!, ...store.catalog.resolve(ref) }));
  const added = wanted.filter(({ template, version, pinned }) => {
    const had = entryOf(row, template.id);
    if (had === undefined) return true;
    if (!pinned || had.pinned === version.number) return false;
    const message = `${row.name} has ${template.name} already`;
    throw new ByrefError(
      'exists',
      message,
      `To stay at a version: byref pin ${row.name} ${template.name}@${version.number}`,
    );
  });
  if (added.length === 0) return { record: null, notes: [] };
  const stackOf = (now: EnvRow): StackEntry[] => {
    const missing = added.filter(({ template }) => entryOf(now, template.id) === undefined);
    return [...now.stack, ...missing.map(({ entry }) => entry)];
  };
  const apps = added.map(({ template }) => template);
  return change(store, { kind: 'add', row, stackOf, apps }, options);
}

/**
 * Takes apps out of an env's stack. The env's own changes to their files, and its files in their directories, stay.
 * @throws ByrefError 'notFound' for an app that the env does not have, 'usage' for its OS template, 'locked', 'badInput'
 */
export async function removeApps(
  store: Store,
  row: EnvRow,
  names: readonly string[],
  options: AppOptions = {},
): Promise<AppsChanged> {
  const removed = new Set(names.map((name) => appOf(store, row, name).templateId));
  const stackOf = (now: EnvRow): StackEntry[] =>
    now.stack.filter(({ templateId }) => !removed.has(templateId));
  const apps = [...removed].flatMap((id) => store.catalog.byId(id) ?? []);
  return change(store, { kind: 'remove', row, stackOf, apps }, options);
}

function appOf(store: Store, row: EnvRow, name: string): StackEntry {
  const at = row.stack.findIndex((entry) => entry.template === name);
  if (at > 0) return row.stack[at]!;
  if (at === 0) {
    const message = `${name} is the OS template of ${row.name}`;
    throw new ByrefError('usage', message, 'Apps can be removed; an env keeps its OS template.');
  }
  const has = row.stack.slice(1).map(({ template }) => template);
  const message = `${row.name} has no app ${name}`;
  const hint = has.length === 0 ? 'It has none.' : `It has ${has.join(', ')}.`;
  throw new ByrefError(
    'notFound',
    message,
    store.template(name) === null ? `There is no such template. ${hint}` : hint,
  );
}

interface Change {
  readonly kind: Extract<PatchKind, 'add' | 'remove'>;
  readonly row: EnvRow;
  /** Returns the new stack, from the env's row as it is at that moment. */
  readonly stackOf: (now: EnvRow) => readonly StackEntry[];
  /** The apps that are added or removed. */
  readonly apps: readonly TemplateRow[];
}

async function change(
  store: Store,
  { kind, row, stackOf, apps }: Change,
  { signal, policies = [], ...waits }: AppOptions,
): Promise<AppsChanged> {
  checkDependencyPolicies(store, policies);
  const wanted: EnvRow = { ...row, stack: stackOf(row) };
  const stacks = [{ row: wanted, stack: store.plainStack(wanted) }];
  const notes = await prepareStacks(store, stacks, { signal, shared: true });
  const [first] = apps;
  if (first === undefined) return { record: null, notes };
  const lock = await takePatchLock(store, first);
  try {
    // Its other templates may have been patched or pinned meanwhile.
    const now = store.needEnv(row.id);
    const next: EnvRow = { ...now, stack: stackOf(now) };
    const versionIn = (env: EnvRow): number =>
      store.plainStack(env).find(({ templateId }) => templateId === first.id)?.version ?? 0;
    const options = { kind, from: versionIn(now), policies, note: '', ...waits };
    const named = { ...first, name: apps.map(({ name }) => name).join(', ') };
    const run = PatchRun.begin(store, lock, named, versionIn(next), options);
    return { record: await run.moveStack(next), notes };
  } catch (error) {
    lock.release();
    throw error;
  }
}
