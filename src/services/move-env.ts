/** Moves an env to another machine, or makes a copy of it there: docs/internals/adr/0040-a-move-is-confirmed.md. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { ByrefError } from '../base/error.ts';
import { failpoint } from '../base/failpoints.ts';
import type { StackName } from '../manager/backup/manifest.ts';
import type { CopyHooks } from '../manager/envs/copy-at-rest.ts';
import { BundleDir } from '../manager/envs/runtime/bundle-dir.ts';
import { isFrozen } from '../manager/envs/runtime/freezer.ts';
import { envState } from '../manager/envs/state.ts';
import { type MoveFacts, Outgoing } from '../manager/moves/outgoing.ts';
import type { EnvRow, Store } from '../store/store.ts';
import { FarSide } from './far-side.ts';
import { LiveEnv, sendEarly } from './live-env.ts';
import { type Hello, type Message, MOVE_PROTOCOL, type Received } from './move-messages.ts';
import type { Wire } from './move-wire.ts';
import { OtherVersions, orSaid, type RoundPart, Rounds } from './send-rounds.ts';
import { type SentVersion, sendVersions, versionsOf } from './send-versions.ts';
import { readyToSleep } from './sleeping-env.ts';
import { startEnv } from './start-env.ts';
import { StillEnv, stampOf } from './still-env.ts';

/** How often, and how long after each other, the other side is asked what became of an env. */
const ASKED = 5;
const ASK_AGAIN_MS = 1000;

/** Where an env goes, and how. */
export interface MoveOptions {
  readonly host: string;
  /** The name that it has there. */
  readonly name: string;
  /** True: it stays here as it is, and there is another one like it. */
  readonly keep: boolean;
  /** True: most of it is sent while it runs. */
  readonly warm: boolean;
  /** True: it is not stopped: its programs stand still for a moment, and go on there. */
  readonly live: boolean;
  /** True: a move that was interrupted goes on, with the name and the way that it had. */
  readonly resume: boolean;
  /** A command that runs a command line on a host, as ssh does: quoted as for a shell. */
  readonly rsh: string;
  /** The command line of the other side. */
  readonly receiver: string;
  /** How long its programs may take to end, in milliseconds. */
  readonly stopMs: number;
}

/** The caller's part while an env is moved. */
export interface MoveHooks extends CopyHooks {
  /** Hears sentences about what goes on. */
  readonly note: (text: string) => void;
  /** Hears each line that the other side, or what leads to it, says to people. */
  readonly hear: (line: string) => void;
}

/** An env that was moved, or copied. */
export interface EnvMoved {
  readonly env: number;
  readonly name: string;
  readonly host: string;
  /** The env as the other side has it. */
  readonly there: Received;
  /** False: it is still here, too. */
  readonly moved: boolean;
  /** True: a move that had been interrupted went on. */
  readonly resumed: boolean;
  /** Bytes that were sent by this command, and the versions of templates that were among them, as NAME@VERSION, with how many objects. */
  readonly bytes: number;
  readonly versions: readonly string[];
  readonly objects: number;
  /** In how many rounds the env was sent. */
  readonly rounds: number;
  /** For how long it neither ran here nor there, in milliseconds; null: it did not run, or stayed here. */
  readonly pauseMs: number | null;
}

/**
 * Sends an env to another machine. To be moved, it is stopped; there it is started if it ran here. It is removed here only when the other side has said that it is
 * whole there. The store is open for writing.
 *
 * Whatever ends it before that leaves the env here as it was, running if it ran; a command that was killed leaves it stopped, if it had stopped it. There is no env
 * there then, but what came of it stays for a while, for `resume`, if the connection broke or this command was ended. If the connection ends between the
 * confirmation and the answer to it, the other side is asked on another connection; if it can't be, the env stays here, stopped, so that it does not run twice.
 * @throws ByrefError 'busy' if it has snapshots, which stay behind, or is being moved already; 'notFound' if there is nothing to go on with; 'unreachable',
 *   'badInput'; what the other side says
 */
export async function moveEnv(
  store: Store,
  row: EnvRow,
  options: MoveOptions,
  hooks: MoveHooks,
): Promise<EnvMoved> {
  refuseHost(options.host);
  const outgoing = Outgoing.open(store.root, row);
  try {
    const forget = outgoing.facts?.host === options.host ? outgoing.facts.move : null;
    const facts = options.resume ? interrupted(outgoing, row, options) : null;
    const { keep, live } = facts ?? options;
    if (!keep) refuseSnapshots(store, row);
    // One that stands still for an earlier try may be there.
    if (live === true && !isFrozen(store.root, row.id)) await readyToSleep(store, row);
    if (facts === null) outgoing.begin(factsOf(store, row, options));
    const move = new Move(store, row, outgoing, options, hooks);
    return await move.run(facts === null ? forget : null);
  } finally {
    outgoing.close();
  }
}

function factsOf({ root }: Store, { id }: EnvRow, options: MoveOptions): MoveFacts {
  const { host, name, keep, warm, live } = options;
  const ran = !keep && new BundleDir(root, id).firstProcess() !== null;
  return { move: randomBytes(16).toString('hex'), host, name, keep, warm, live, ran };
}

function interrupted({ facts }: Outgoing, { name }: EnvRow, { host }: MoveOptions): MoveFacts {
  if (facts?.host === host) return facts;
  const which = facts === null ? '' : `; one to ${facts.host} was`;
  const message = `no move of ${name} to ${host} was interrupted${which}`;
  throw new ByrefError('notFound', message, 'Run byref move without --resume.');
}

/** One command's part of a move. */
class Move {
  private readonly store: Store;
  private readonly row: EnvRow;
  private readonly outgoing: Outgoing;
  private readonly facts: MoveFacts;
  private readonly options: MoveOptions;
  private readonly hooks: MoveHooks;
  private readonly start: boolean;
  private still: StillEnv | LiveEnv | null = null;
  private stoppedAt = 0;
  /** True: the other side has answered, so that something may have come there. */
  private isHeard = false;

  constructor(
    store: Store,
    row: EnvRow,
    outgoing: Outgoing,
    options: MoveOptions,
    hooks: MoveHooks,
  ) {
    this.store = store;
    this.row = row;
    this.outgoing = outgoing;
    this.facts = outgoing.facts!;
    this.options = options;
    this.hooks = hooks;
    const { keep, ran } = this.facts;
    this.start = !keep && (ran || this.runs);
  }

  private get runs(): boolean {
    return new BundleDir(this.store.root, this.row.id).firstProcess() !== null;
  }

  async run(forget: string | null): Promise<EnvMoved> {
    const far = new FarSide(this.options, this.hooks);
    try {
      return await this.through(far, forget);
    } catch (error) {
      await this.undo(far, error);
      throw error;
    } finally {
      await this.still?.release();
      await far.close();
    }
  }

  private async through(far: FarSide, forget: string | null): Promise<EnvMoved> {
    const { store, row, outgoing, hooks } = this;
    const { move, name, host, keep, live = false } = this.facts;
    const { stack, bases } = versionsOf(store, row);
    const named = (versions: readonly SentVersion[]): StackName[] =>
      versions.map(({ ref: _, ...version }) => version);
    const hello: Hello = {
      ...{ byref: 'move', protocol: MOVE_PROTOCOL, move, name },
      ...{ stack: named(stack), bases: named(bases) },
      ...{ sameIdentity: !keep, start: this.start, live, from: hostname(), forget },
    };
    await orSaid(far.wire, far.wire.send(hello));
    const answer = await store.pause(() => far.wire.receive());
    this.isHeard = true;
    if (answer.has !== undefined && answer.has !== null) throw this.isThere();
    const part = await this.agree(far, answer);
    const { need = [] } = answer;
    const [os, ...apps] = stack;
    const sent = [os!, ...bases, ...apps].filter(({ identity }) => need.includes(identity));
    const objects = await sendVersions(store, far.wire, sent, outgoing.listing);
    const rounds = new Rounds(store, row, hello.stack, far.wire, outgoing);
    await (live ? this.sendLive(far.wire, rounds, part) : this.sendRounds(rounds, part));
    if (this.still instanceof LiveEnv) await this.still.stay();
    failpoint('move-whole');
    const there = await confirm(store, far, hello, this.options, hooks);
    const pauseMs = this.start ? Math.ceil(performance.now() - this.stoppedAt) : null;
    failpoint('move-done');
    await this.still?.remove(store, row);
    this.still = null;
    outgoing.clear();
    return {
      ...{ env: row.id, name: row.name, host, there, moved: !keep, resumed: this.options.resume },
      ...{ bytes: far.wire.sent, objects, rounds: rounds.count, pauseMs },
      versions: sent.map((each) => `${each.template}@${each.version}`),
    };
  }

  /** Brings what is known here of what the other side has together with what it says. Returns what it has of the round that is to be finished. */
  private async agree(
    { wire }: FarSide,
    { held = null, part = null }: Message,
  ): Promise<RoundPart | null> {
    const { outgoing } = this;
    const { pending } = outgoing;
    if (pending !== null && held === pending.id) outgoing.noteHeld(pending);
    if ((outgoing.held?.id ?? null) === held) return part;
    outgoing.noteLost();
    if (held === null) return part;
    await wire.send({ reset: true });
    return null;
  }

  private async sendRounds(rounds: Rounds, part: RoundPart | null): Promise<void> {
    const { keep, warm } = this.facts;
    const { pending } = this.outgoing;
    if (keep) {
      if (pending === null) await rounds.send('copy', this.hooks);
      else await rounds.finish(pending, part, true);
      return;
    }
    // What is stopped may be as it was when it was sent in part: then the rest of that is all.
    if (pending?.stamp != null && (await this.isStopped())) await this.stop();
    if (pending !== null) {
      const isSame = this.still instanceof StillEnv && this.still.stamp === pending.stamp;
      if (isSame) this.outgoing.notePending({ ...pending, stamp: stampOf(this.store, this.row) });
      await rounds.finish(pending, part, isSame);
      if (isSame) return;
    }
    if (warm && this.still === null && !(await this.isStopped()))
      await rounds.untilSmall(this.hooks);
    const still = this.still instanceof StillEnv ? this.still : await this.stop();
    await rounds.send('still', { ...this.hooks, ...still.hooks });
  }

  /** Sends the env while it runs, then its processes and what changed since. */
  private async sendLive(wire: Wire, rounds: Rounds, part: RoundPart | null): Promise<void> {
    const { store, row, outgoing, hooks } = this;
    if (outgoing.pending !== null) await rounds.finish(outgoing.pending, part, false);
    await rounds.untilSmall(hooks);
    const base = await sendEarly(store, row, wire, outgoing, hooks);
    await rounds.untilSmall(hooks);
    store.refresh();
    store.needEnv(row.id);
    this.stoppedAt = performance.now();
    const live = await LiveEnv.of(store, row, outgoing, hooks, (still) =>
      rounds.send('copy', still),
    );
    this.still = live;
    failpoint('move-asleep');
    await orSaid(wire, live.send(wire, base));
    failpoint('move-processes-sent');
  }

  private async isStopped(): Promise<boolean> {
    return !this.runs && (await envState(this.store, this.row)).state === 'stopped';
  }

  private async stop(): Promise<StillEnv> {
    this.store.refresh();
    this.store.needEnv(this.row.id);
    this.stoppedAt = performance.now();
    const still = await StillEnv.of(this.store, this.row, this.options.stopMs, this.hooks);
    this.still = still;
    failpoint('move-stopped');
    return still;
  }

  /** Has the env go on here as before, and keeps of the move what it can go on with later. */
  private async undo({ wire }: FarSide, error: unknown): Promise<void> {
    const { store, row, outgoing, hooks } = this;
    const { host } = this.facts;
    if (error instanceof Unknown) {
      if (!(this.still instanceof LiveEnv)) return;
      const from = await this.still.leaveAsleep();
      this.still = null;
      hooks.note(`its programs are kept: byref start ${row.name} --from-checkpoint ${from}`);
      return;
    }
    if (this.isResumable(error))
      hooks.note(`what came is kept there for some days: byref move ${row.name} ${host} --resume`);
    else {
      outgoing.clear();
      // It keeps nothing then, either.
      await wire.send({ error: GIVEN_UP }).catch(() => undefined);
    }
    outgoing.dropCheckpoints();
    const hadStopped = this.still !== null;
    await this.still?.release();
    this.still = null;
    if (this.start && !this.runs) {
      hooks.note(`${row.name} is started here again`);
      await startEnv(store, row, {}, hooks);
    } else if (hadStopped && outgoing.pending?.stamp != null)
      outgoing.notePending({ ...outgoing.pending, stamp: stampOf(store, row) });
  }

  /** Returns true if the other side keeps what came. */
  private isResumable(error: unknown): boolean {
    if (!this.isHeard && !this.options.resume) return false;
    const isBroken = error instanceof ByrefError && error.code === 'unreachable';
    return isBroken || error instanceof OtherVersions || this.hooks.signal.aborted;
  }

  private isThere(): ByrefError {
    const { name, host } = this.facts;
    this.outgoing.clear();
    const message = `${host} has ${name} already: all of the move was done, but for the end here`;
    const force = this.runs ? ' --force' : '';
    const hint = `Remove the one here: byref destroy${force} ${this.row.name}`;
    return new ByrefError('exists', message, hint);
  }
}

const GIVEN_UP = {
  code: 'error',
  message: 'the move was given up',
  hint: 'See what it says there.',
};

/** What begins like an option, ssh would take for one. */
function refuseHost(host: string): void {
  if (host !== '' && !host.startsWith('-')) return;
  throw new ByrefError('usage', `"${host}" is no host`, 'Name it as ssh does: user@host.');
}

function refuseSnapshots(store: Store, { id, name }: EnvRow): void {
  const count = store.snapshots(id).length;
  if (count === 0) return;
  const hint = `Remove them (byref snapshot list ${name}), or leave the env here, too, with --keep.`;
  throw new ByrefError('busy', `${name} has snapshots, which would be lost: ${count}`, hint);
}

/** It is not known whether the other side has the env. */
class Unknown extends ByrefError {}

async function confirm(
  store: Store,
  far: FarSide,
  hello: Hello,
  options: MoveOptions,
  hooks: MoveHooks,
): Promise<Received> {
  let cause: unknown;
  try {
    await far.wire.send({ confirm: true });
    const { done } = await store.pause(() => far.wire.receive());
    if (done !== undefined) return done;
  } catch (error) {
    if (error instanceof ByrefError && error.code !== 'unreachable') throw error;
    cause = error;
  }
  const has = await store.pause(() => ask({ ...hello, byref: 'ask' }, options, hooks));
  if (has !== null && has !== undefined) return has;
  if (has === null) throw cause;
  const { host, name } = options;
  throw new Unknown(
    'unreachable',
    `the connection to ${host} ended as it was to confirm, and it can't be asked whether it has ${name}`,
    `Look there: byref list. If it has ${name}, destroy the one here; else start the one here again.`,
  );
}

/** Asks the other side for an env. null: it does not have it. undefined: it does not answer. */
async function ask(
  hello: Hello,
  options: MoveOptions,
  { hear }: MoveHooks,
): Promise<Received | null | undefined> {
  for (let tries = 1; tries <= ASKED; tries++) {
    const far = new FarSide(options, { hear, signal: new AbortController().signal });
    try {
      await far.wire.send(hello);
      const { has }: Message = await far.wire.receive();
      if (has !== undefined) return has;
    } catch {
      // As below.
    } finally {
      await far.close();
    }
    await sleep(ASK_AGAIN_MS);
  }
  return undefined;
}
