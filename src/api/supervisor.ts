/**
 * Looks after envs that have ended by themselves: starts them again as their restart policy says, or clears them away. It acts by
 * commands, so that what it does is what people could do.
 */
import type { RestartPolicy } from '../codec/env-settings.ts';
import { BundleDir, bundleIds } from '../manager/envs/runtime/bundle-dir.ts';
import { isHeld } from '../native/lock-file.ts';
import type { Log } from '../observe/log.ts';

/** What the supervisor needs to know of an env, and of the root. */
export interface SupervisorPorts {
  /** Returns the envs' names and policies, by id. */
  readonly policies: () => Promise<ReadonlyMap<number, EnvPolicy>>;
  /** Executes a command. @throws ByrefError */
  readonly run: (words: readonly string[]) => Promise<unknown>;
  readonly tell: (what: string, fields: Readonly<Record<string, unknown>>) => void;
  readonly log: Log;
}

/** One env's name, and what is to be done when it ends. */
export interface EnvPolicy {
  readonly name: string;
  readonly restart: RestartPolicy;
  /** True if it is started when the machine boots. */
  readonly autostart: boolean;
}

/** The wait before the first restart, in milliseconds; each further one takes twice as long. As dockerd has it. */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 60_000;
/** An env that ran for this long is not one that fails at once. */
const RAN_WELL_MS = 10_000;

/** How soon it is looked again at envs that somebody is at work on. */
const AGAIN_MS = 200;

interface Failures {
  count: number;
  timer: NodeJS.Timeout | null;
}

/** Looks after the envs of one root. */
export class Supervisor {
  private readonly root: string;
  private readonly ports: SupervisorPorts;
  private readonly failures = new Map<number, Failures>();
  private readonly busy = new Set<number>();
  private again: NodeJS.Timeout | null = null;
  private closed = false;

  constructor(root: string, ports: SupervisorPorts) {
    this.root = root;
    this.ports = ports;
  }

  /** Looks which envs have ended, and does what is to be done. */
  async look(): Promise<void> {
    const idle = bundleIds(this.root).filter((id) => !this.busy.has(id) && !this.runs(id));
    const ended = idle.filter((id) => this.isLeft(id));
    // Somebody is still at work on the others: starts or stops them, or clears up after their end.
    if (ended.length < idle.length) this.soon();
    if (ended.length === 0 || this.closed) return;
    const policies = await this.ports.policies();
    for (const id of ended) {
      const policy = policies.get(id);
      if (policy !== undefined && !this.busy.has(id)) this.decide(id, policy);
    }
  }

  close(): void {
    this.closed = true;
    if (this.again !== null) clearTimeout(this.again);
    for (const { timer } of this.failures.values()) if (timer !== null) clearTimeout(timer);
  }

  private runs(id: number): boolean {
    return new BundleDir(this.root, id).firstProcess() !== null;
  }

  /** Returns true for an env that nobody starts, stops, clears up after, or waits for. */
  private isLeft(id: number): boolean {
    const bundle = new BundleDir(this.root, id);
    return !bundle.isMonitored && !bundle.isAttended && !isHeld(bundle.lock, 'at-all');
  }

  private soon(): void {
    if (this.closed) return;
    this.again ??= setTimeout(() => {
      this.again = null;
      this.look().catch((error: unknown) => this.ports.log.warn({ err: error }, 'ended envs'));
    }, AGAIN_MS);
  }

  private decide(id: number, { name, restart }: EnvPolicy): void {
    const bundle = new BundleDir(this.root, id);
    const ended = bundle.ended();
    const startedMs = bundle.note()?.startedMs ?? 0;
    const code = ended?.code ?? null;
    this.ports.tell('env.exited', { env: id, name, code });
    const failures = this.failuresOf(id);
    if ((ended?.atMs ?? Date.now()) - startedMs > RAN_WELL_MS) failures.count = 0;
    failures.count++;
    this.busy.add(id);
    if (!isWanted(restart, code, failures.count)) {
      this.failures.delete(id);
      void this.act(id, name, ['stop', '--fast', '--', name]);
      return;
    }
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (failures.count - 1));
    this.ports.log.info({ env: id, name, code, wait }, 'it is started again');
    failures.timer = setTimeout(() => {
      failures.timer = null;
      // Somebody may have stopped it meanwhile.
      if (bundle.exists && !this.runs(id) && this.isLeft(id)) {
        this.ports.tell('env.restarted', { env: id, name, times: failures.count });
        void this.act(id, name, ['start', '--', name]);
      } else this.busy.delete(id);
    }, wait);
  }

  private async act(id: number, name: string, words: readonly string[]): Promise<void> {
    try {
      await this.ports.run(words);
    } catch (error) {
      this.ports.log.warn({ env: id, name, err: error }, `byref ${words.join(' ')}`);
    } finally {
      this.busy.delete(id);
    }
  }

  private failuresOf(id: number): Failures {
    const known = this.failures.get(id) ?? { count: 0, timer: null };
    this.failures.set(id, known);
    return known;
  }
}

/** Returns true if an env that ended so is to be started again. @param count how many times one after the other it has ended */
export function isWanted(restart: RestartPolicy, code: number | null, count: number): boolean {
  if (restart.when === 'always') return true;
  if (restart.when !== 'on-failure' || code === 0) return false;
  return restart.times === null || count <= restart.times;
}
