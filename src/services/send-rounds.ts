/**
 * Sends an env to another machine in rounds. The first one has all of it, each further one what changed since the one before: each is a backup that builds on
 * that. Only for the last one the env has to stand still. Any kind of move that is to be short at its end begins with such rounds.
 */
import { randomBytes } from 'node:crypto';
import { ByrefError } from '../base/error.ts';
import { failpoint } from '../base/failpoints.ts';
import type { VersionName } from '../manager/backup/manifest.ts';
import type { StillHooks } from '../manager/envs/copy-at-rest.ts';
import type { Outgoing, PendingRound } from '../manager/moves/outgoing.ts';
import { Spool } from '../manager/moves/spool.ts';
import type { EnvRow, Store } from '../store/store.ts';
import { streamBackup } from './backup-env.ts';
import type { Message, RoundMessage } from './move-messages.ts';
import type { Wire } from './move-wire.ts';
import { stampOf } from './still-env.ts';

/** No further round is worth its time if the last one had so few bytes, or more than this part of the one before. */
const SMALL = 2 ** 20;
const SHRINKS = 0.7;
const ROUNDS_MAX = 8;

/** What the other side has of a round. */
export type RoundPart = NonNullable<Message['part']>;

/** Whether the env goes on after a round ('more'), or the round makes it whole there: it stands still, or it was copied as of a moment. */
export type RoundKind = 'more' | 'still' | 'copy';

/** An env got other versions of its templates since the other side was asked for those that it has. */
export class OtherVersions extends ByrefError {
  constructor({ name }: EnvRow) {
    super('busy', `${name} got other versions of its templates meanwhile`, 'Move it again.');
  }
}

/** The rounds of one connection. */
export class Rounds {
  /** How many were sent. */
  count = 0;
  private readonly store: Store;
  private readonly row: EnvRow;
  private readonly stack: readonly VersionName[];
  private readonly wire: Wire;
  private readonly outgoing: Outgoing;

  /** @param stack the versions that the other side has @param outgoing what is known of what it has of the env */
  constructor(
    store: Store,
    row: EnvRow,
    stack: readonly VersionName[],
    wire: Wire,
    outgoing: Outgoing,
  ) {
    this.store = store;
    this.row = row;
    this.stack = stack;
    this.wire = wire;
    this.outgoing = outgoing;
  }

  /** Sends rounds while the env goes on, until a further one would not be smaller. @throws as send() */
  async untilSmall(hooks: StillHooks): Promise<void> {
    let before = Number.POSITIVE_INFINITY;
    for (let n = 0; n < ROUNDS_MAX; n++) {
      const bytes = await this.send('more', hooks);
      if (bytes <= SMALL || bytes > before * SHRINKS) return;
      before = bytes;
    }
  }

  /**
   * Sends what changed since the last round, or all. It is packed to a file, from which it is sent at the same time: if the connection breaks, it is packed to
   * its end nevertheless, so that it can be finished on another one.
   * @returns how many bytes it has
   * @throws OtherVersions if it was patched since; ByrefError 'notFound' if it is gone, 'unreachable'; what the other side says; as streamBackup()
   */
  async send(kind: RoundKind, hooks: StillHooks): Promise<number> {
    const { store, outgoing } = this;
    const row = this.current();
    const id = randomBytes(16).toString('hex');
    const base = outgoing.base();
    const spool = Spool.make(outgoing.round);
    const message = { id, base: base?.id ?? null, from: 0, last: kind !== 'more' };
    try {
      const sending = this.transmit(spool, message);
      // Awaited below.
      sending.catch(() => undefined);
      try {
        const options = { includes: () => false, sink: spool.append, volumes: kind !== 'more' };
        const { files, sent } = await streamBackup(store, row, { ...options, base, id }, hooks);
        await spool.finish();
        const stamp = kind === 'still' ? stampOf(store, row) : null;
        const { seen, trustedMs } = files;
        outgoing.notePending({ id, base: message.base, seen, trustedMs, stamp });
        await this.answered(sending, message.last);
        return sent.bytes;
      } catch (error) {
        spool.fail(error);
        await sending.catch(() => undefined);
        throw error;
      }
    } finally {
      spool.close();
    }
  }

  /**
   * Sends the rest of a round that was begun on another connection.
   * @param part what the other side has of it @param last true: the env is whole with it
   * @throws as send()
   */
  async finish(round: PendingRound, part: RoundPart | null, last: boolean): Promise<void> {
    const spool = Spool.open(this.outgoing.round);
    try {
      const from = part?.id === round.id ? part.bytes : 0;
      const sending = this.transmit(spool, { id: round.id, base: round.base, from, last });
      sending.catch(() => undefined);
      await this.answered(sending, last);
    } finally {
      spool.close();
    }
  }

  /** Returns the env as it is now: others may change it between rounds. */
  private current(): EnvRow {
    const { store, stack } = this;
    store.refresh();
    const row = store.needEnv(this.row.id);
    const now = store.plainStack(row).map((ref) => store.identity(ref));
    if (now.join() !== stack.map(({ identity }) => identity).join()) throw new OtherVersions(row);
    return row;
  }

  private async transmit(spool: Spool, round: RoundMessage): Promise<void> {
    const { wire } = this;
    const bytes = spool.bytes(round.from);
    // Nothing is said before there is something to send.
    const first = await bytes.next();
    await wire.send({ round });
    await wire.sendAll(withFirst(first, bytes));
    failpoint('move-round-sent');
  }

  /** Waits until the round is sent and taken. */
  private async answered(sending: Promise<void>, last: boolean): Promise<void> {
    const { store, wire, outgoing } = this;
    await store.pause(async () => {
      await orSaid(wire, sending);
      const { took, whole } = await wire.receive();
      const { pending } = outgoing;
      const isRight = last ? whole === true : took !== undefined && took === pending?.id;
      if (!isRight || pending === null) throw notUnderstood();
      if (!last) outgoing.noteHeld(pending);
    });
    this.count++;
  }
}

async function* withFirst(
  first: IteratorResult<Buffer>,
  others: AsyncGenerator<Buffer>,
): AsyncGenerator<Buffer> {
  if (first.done === true) return;
  yield first.value;
  yield* others;
}

/** Waits for what is sent. If that fails, the other side may have said why: then that is thrown. */
export async function orSaid<T>(wire: Wire, sent: Promise<T>): Promise<T> {
  try {
    return await sent;
  } catch (error) {
    if (error instanceof ByrefError && error.code === 'unreachable') await wire.receive();
    throw error;
  }
}

const notUnderstood = (): ByrefError =>
  new ByrefError(
    'badInput',
    'the other side answers something else than was asked',
    'Use the same byref on both machines.',
  );
