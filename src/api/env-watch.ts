/** Watches what becomes of a root's envs, templates and patches, whoever changes them, and tells what is different. */
import { existsSync, readFileSync, statSync, watch } from 'node:fs';
import path from 'node:path';
import { bundleIds, bundlesDir, makeBundlesDir } from '../manager/envs/runtime/bundle-dir.ts';
import type { EnvSummary } from '../manager/envs/summary.ts';
import type { Log } from '../observe/log.ts';
import { listEnvs } from '../services/list-envs.ts';
import { withStore } from '../services/store-session.ts';
import { metaDir, type Store } from '../store/store.ts';

/** What is known of a root at one moment. */
export interface RootView {
  readonly envs: readonly EnvSummary[];
  /** The newest version of each template, by its name. */
  readonly versions: ReadonlyMap<string, number>;
  /** The newest patches, by their ids, with their states. */
  readonly patches: ReadonlyMap<number, string>;
  /** How many patches are on record, by state. */
  readonly patchStates: ReadonlyMap<string, number>;
}

/** Is told of an event: its kind, and what it is about. */
export type OnEvent = (what: string, fields: Readonly<Record<string, unknown>>) => void;

/**
 * How long after a change the root is looked at, if none comes meanwhile: changes come in groups, as when an env is started, which a look
 * would only delay.
 */
const SETTLE_MS = 100;
/** How long after the first change it is looked at, whatever comes. */
const UNSETTLED_MS = 500;
/** How many times as long as the last look took nothing is looked at: with many envs, it is not all that the daemon does. */
const REST = 4;
/** At most so long: a look that took long waited for a driver that hangs. */
const REST_MAX_MS = 2_000;
/** How often it is looked whether something is mounted that was not, or the other way round. */
const MOUNTS_MS = 2_000;
/** How often it is looked at all, in case a change was not noticed. */
const ALL_MS = 30_000;
/** How many patches are compared. */
const PATCHES = 20;

/** Looks at a root whenever something in it changes. */
export class EnvWatch {
  private readonly root: string;
  private readonly log: Log;
  private readonly onEvent: OnEvent;
  private readonly onLook: () => void;
  private readonly recover: () => void;
  private view: RootView | null = null;
  private due: NodeJS.Timeout | null = null;
  /** When something changed first that was not looked at yet; on the clock of performance.now(). */
  private changedMs = 0;
  private looking = false;
  /** How often a look was wanted while one was under way. */
  private wanted = 0;
  /** How long the last look took. */
  private lookMs = 0;
  private closed = false;
  private mounts = '';
  private readonly timers: NodeJS.Timeout[] = [];
  private readonly watchers = new Map<
    string,
    { readonly ino: number; readonly close: () => void }
  >();

  /**
   * @param onLook is called after each look
   * @param recover is called when a patch whose process died is to be finished or undone
   */
  constructor(root: string, log: Log, onEvent: OnEvent, onLook: () => void, recover: () => void) {
    this.root = root;
    this.log = log;
    this.onEvent = onEvent;
    this.onLook = onLook;
    this.recover = recover;
    makeBundlesDir(root);
    this.watch(metaDir(root));
    this.watch(bundlesDir(root));
    this.timers.push(setInterval(() => this.lookAtMounts(), MOUNTS_MS));
    this.timers.push(setInterval(() => this.soon(), ALL_MS));
    this.soon();
  }

  /** Returns what was seen last; null before the first look. */
  get latest(): RootView | null {
    return this.view;
  }

  /** Looks soon. */
  soon(): void {
    if (this.closed) return;
    const now = performance.now();
    if (this.due === null) this.changedMs = now;
    else clearTimeout(this.due);
    const settled = Math.min(now + SETTLE_MS, this.changedMs + UNSETTLED_MS);
    const rested = this.changedMs + Math.min(this.lookMs * REST, REST_MAX_MS);
    this.due = setTimeout(() => {
      this.due = null;
      void this.look();
    }, Math.max(settled, rested) - now);
  }

  close(): void {
    this.closed = true;
    for (const timer of this.timers) clearInterval(timer);
    if (this.due !== null) clearTimeout(this.due);
    for (const watcher of this.watchers.values()) watcher.close();
  }

  private watch(directory: string): void {
    try {
      const { ino } = statSync(directory);
      if (this.watchers.get(directory)?.ino === ino) return;
      // Another directory of the same name may have been there.
      this.unwatch(directory);
      const watcher = watch(directory, { persistent: false }, () => this.soon());
      watcher.on('error', () => this.unwatch(directory));
      this.watchers.set(directory, { ino, close: () => watcher.close() });
    } catch (error) {
      // It went just now, or the machine allows no more watches: it is looked at now and then all the same.
      this.log.debug({ err: error, directory }, 'not watched');
    }
  }

  private unwatch(directory: string): void {
    this.watchers.get(directory)?.close();
    this.watchers.delete(directory);
  }

  /** The end of a first process is a file in its bundle. */
  private watchBundles(): void {
    const bundles = bundlesDir(this.root);
    const now = new Set(bundleIds(this.root).map((id) => path.join(bundles, String(id))));
    for (const directory of now) this.watch(directory);
    for (const directory of this.watchers.keys()) {
      if (directory.startsWith(`${bundles}/`) && !now.has(directory)) this.unwatch(directory);
    }
  }

  private lookAtMounts(): void {
    const mounts = readFileSync('/proc/self/mountinfo', 'latin1');
    if (mounts === this.mounts) return;
    this.mounts = mounts;
    this.soon();
  }

  private async look(): Promise<void> {
    if (this.looking) {
      this.wanted++;
      return;
    }
    if (this.closed || !existsSync(metaDir(this.root))) return;
    this.looking = true;
    const { wanted } = this;
    const began = performance.now();
    try {
      this.watchBundles();
      const seen = await this.see();
      if (seen !== null) {
        if (this.view !== null) compare(this.view, seen, this.onEvent);
        this.view = seen;
        this.onLook();
      }
    } catch (error) {
      this.log.warn({ err: error }, 'the root could not be looked at');
    } finally {
      this.looking = false;
      this.lookMs = performance.now() - began;
      // Something changed while it was looked at.
      if (this.wanted !== wanted) this.soon();
    }
  }

  private async see(): Promise<RootView | null> {
    const session = {
      root: this.root,
      patience: { ms: 0, tell: () => undefined },
      onRecovered: () => undefined,
      onDeadPatch: () => {
        throw new DeadPatch();
      },
    };
    try {
      return await withStore(session, 'read', viewOf);
    } catch (error) {
      if (!(error instanceof DeadPatch)) throw error;
      this.recover();
      return null;
    }
  }
}

/** A patch whose process died is to be finished or undone first. */
class DeadPatch extends Error {}

async function viewOf(store: Store): Promise<RootView> {
  const versions = store
    .templates()
    .map(({ id, name }) => [name, store.versions(id).at(-1)?.number ?? 0] as const);
  const patches = new Map<number, string>();
  const patchStates = new Map<string, number>();
  for (const { id, state } of store.patches.heads()) {
    if (patches.size < PATCHES) patches.set(id, state);
    patchStates.set(state, (patchStates.get(state) ?? 0) + 1);
  }
  return { envs: await listEnvs(store), versions: new Map(versions), patches, patchStates };
}

/** Tells the differences between two views. */
export function compare(before: RootView, after: RootView, tell: OnEvent): void {
  const known = new Map(before.envs.map((env) => [env.id, env]));
  for (const env of after.envs) {
    const { id, name } = env;
    const former = known.get(id);
    known.delete(id);
    if (former === undefined) tell('env.created', { env: id, name });
    else if (former.name !== name) tell('env.renamed', { env: id, name, before: former.name });
    compareState(former, env, tell);
  }
  for (const { id, name } of known.values()) tell('env.destroyed', { env: id, name });
  for (const [template, version] of after.versions) {
    if (version > (before.versions.get(template) ?? 0)) {
      tell('template.version', { template, version });
    }
  }
  for (const [patch, state] of after.patches) {
    if (before.patches.get(patch) !== state) tell('patch', { patch, state });
  }
}

const MOUNTED: ReadonlySet<string> = new Set(['mounted', 'running', 'frozen']);

function compareState(before: EnvSummary | undefined, after: EnvSummary, tell: OnEvent): void {
  const { id: env, name, state, pid } = after;
  const former = before ?? { state: 'stopped', pid: null };
  if (former.pid !== pid && former.pid !== null) tell('env.ended', { env, name });
  if (former.pid !== pid && pid !== null) tell('env.started', { env, name, pid });
  if (former.state === state) return;
  if (state === 'frozen') tell('env.frozen', { env, name });
  else if (former.state === 'frozen' && state === 'running') tell('env.thawed', { env, name });
  const wasMounted = MOUNTED.has(former.state);
  const isMounted = MOUNTED.has(state);
  if (isMounted && !wasMounted) tell('env.mounted', { env, name });
  else if (state === 'stopped') tell('env.unmounted', { env, name });
  else if (state === 'dead') tell('env.dead', { env, name });
}
