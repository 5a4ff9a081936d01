import { invariant } from '../../base/assert.ts';
import { EPROTO } from '../../base/errno.ts';
import type { NodeId } from '../../base/ids.ts';
import { native } from '../../native/binding.ts';
import type { FileSystem, Waiting } from '../core/api.ts';
import { reply, request, requestId, u32, u64 } from './buffers.ts';
import { changesSomething } from './changes.ts';
import { type Connection, NO_REPLY } from './connection.ts';
import { dispatch, opcodeName } from './dispatch.ts';
import { type FaultLog, Faults } from './faults.ts';
import { type Granted, negotiate, putInitOut, type Wishes } from './init.ts';
import { Notifier } from './notify.ts';
import { Pending, type PendingRequest } from './pending.ts';
import { type SessionPorts, sessionPorts } from './ports.ts';
import { seal, send } from './reply.ts';
import { type OperationTimes, RequestTimes } from './request-times.ts';
import { type SlowRequest, SlowRequests } from './slow-requests.ts';
import { IN, OP, OPCODES } from './wire.ts';
import { openWireLog } from './wire-log.ts';

/** Options of a session. */
export interface SessionOptions extends Partial<Wishes> {
  /** A connection from openDevice(). The session closes it at its end. */
  readonly devFd: number;
  /** The absolute path of the mount point. */
  readonly mountpoint: string;
  /** Makes the filesystem. Called once it is known what the kernel grants, before the kernel asks for anything. */
  readonly fileSystem: (ports: SessionPorts) => FileSystem;
  /**
   * Resumes a connection that another process initialised and that was granted this; no INIT comes then. The kernel was asked
   * for what that process left unanswered: askAgain().
   */
  readonly resume?: Granted;
  readonly log?: FaultLog;
  /** Is told of each request that takes long: when that is noticed, and when it is answered. */
  readonly onSlow?: (request: SlowRequest) => void;
  /**
   * Called with the caller's pid before each request that changes something. If it returns a promise, which must
   * not reject, the request waits for it, and this is called again.
   */
  readonly identify?: Identify | null;
  /** How long the kernel keeps names and attributes, in seconds. For good by default; benchmarks set 0. */
  readonly cacheSeconds?: number;
}

type Identify = (pid: number) => Promise<void> | null;

/** Counters of a session since it began. */
export interface SessionStats {
  /** The number of requests, by the name of their opcode. */
  readonly requests: Readonly<Record<string, number>>;
  /** The number of operations that ended with EIO because the core threw. */
  readonly faults: number;
  /** The number of requests that wait for a late answer. */
  readonly pending: number;
  /** The number of requests that took longer than they should. */
  readonly slow: number;
  readonly times: readonly OperationTimes[];
}

/** Practically forever, in seconds: the driver tells the kernel what changed. */
const FOR_GOOD = 0x7fffffff;

/** What requests wait for that are not begun. */
const HELD = 'the env, which is held as it is while it is copied';
const TRACED = 'the name of the program, which is to be noted';

const wireLog = openWireLog();

/**
 * One mounted connection, from INIT to its end.
 *
 * The add-on's loop reads a request into the shared buffer. It is handled, and answered at once from the shared
 * reply buffer; or its handler leaves a promise with later(), and the answer is written when that settles,
 * whatever was answered in between.
 */
export class Session implements Connection {
  /** Resolves when INIT was answered. Rejects if the connection ends before. */
  readonly ready: Promise<void>;
  /** Resolves at the end of the connection, when everything is closed, to the errno of the last read. */
  readonly ended: Promise<number>;

  readonly cacheSeconds: number;

  private readonly devFd: number;
  private readonly options: SessionOptions;
  private readonly wishes: Wishes;
  private readonly identify: Identify | null;
  private readonly notifier: Notifier;
  private readonly faults: Faults;
  private readonly pending = new Pending();
  private readonly slow: SlowRequests;
  private readonly counts = new Float64Array(OPCODES);
  private readonly times = new RequestTimes();
  /** When the request that is being handled came, by performance.now(). */
  private begunMs = 0;
  private readonly loop: number;
  /** Until when requests that change something wait, and why; null while they are served. */
  private gate: { readonly ends: Promise<void>; readonly why: string } | null = null;
  private holds = 0;
  private fileSystem: FileSystem | null = null;
  private answer: Granted | null = null;
  /** True once the loop has stopped: no more requests come. */
  private over = false;
  /** True once late answers are no longer written. */
  private closed = false;
  private serveAgain!: () => void;
  private becomeReady!: () => void;
  private neverReady!: (error: Error) => void;
  private finish!: (errno: number) => void;

  constructor(options: SessionOptions) {
    this.options = options;
    this.devFd = options.devFd;
    this.identify = options.identify ?? null;
    this.cacheSeconds = options.cacheSeconds ?? FOR_GOOD;
    this.wishes = {
      noPassthrough: options.noPassthrough ?? false,
      allowIdmap: options.allowIdmap ?? false,
      maxStackDepth: options.maxStackDepth ?? 1,
    };
    this.notifier = new Notifier(this.devFd);
    this.slow = new SlowRequests(
      this.pending,
      (node, id) => this.explain(node, id),
      options.onSlow ?? (() => undefined),
    );
    this.faults = new Faults(options.log ?? ((message, error) => console.error(message, error)));
    this.ready = new Promise((resolve, reject) => {
      this.becomeReady = resolve;
      this.neverReady = reject;
    });
    // Whoever does not wait for it sees the end anyway.
    this.ready.catch(() => undefined);
    this.ended = new Promise((resolve) => {
      this.finish = resolve;
    });
    if (options.resume !== undefined) this.resume(options.resume);
    this.loop = native.startLoop(this.devFd, request, reply, this.onRequest, this.onEnd);
    invariant(this.loop > 0, `startLoop: errno ${String(-this.loop)}`);
  }

  get fs(): FileSystem {
    invariant(this.fileSystem !== null, 'a request before INIT');
    return this.fileSystem;
  }

  get granted(): Granted {
    invariant(this.answer !== null, 'a request before INIT');
    return this.answer;
  }

  stats(): SessionStats {
    const requests: Record<string, number> = {};
    this.counts.forEach((count, opcode) => {
      if (count > 0) requests[opcodeName(opcode)] = count;
    });
    const { faults, pending, slow, times } = this;
    return {
      requests,
      faults: faults.count,
      pending: pending.count,
      slow: slow.count,
      times: times.all(),
    };
  }

  /**
   * Makes requests that change something wait, from the next one on, until the returned function is called, and that of each
   * other hold.
   * @param why says what they wait for
   */
  hold(why = HELD): () => void {
    this.holds++;
    if (this.gate === null) {
      const ends = new Promise<void>((resolve) => {
        this.serveAgain = resolve;
      });
      this.gate = { ends, why };
    }
    return () => {
      if (--this.holds > 0) return;
      this.gate = null;
      this.serveAgain();
    };
  }

  /**
   * Stops serving and gives the connection up without ending it: another process holds the descriptor and goes on.
   * Requests that were begun are answered first.
   */
  async detach(): Promise<void> {
    if (this.over) return;
    this.over = true;
    native.stopLoop(this.loop);
    await this.pending.drained();
    await this.close(0);
  }

  later<T>(promise: Promise<T>, encode: (value: T) => number): number {
    const [low, high] = [u32(IN.unique), u32(IN.unique + 1)];
    const id = requestId(IN.unique);
    const opcode = u32(IN.opcode);
    const operation = opcodeName(opcode);
    const { begunMs } = this;
    const pending = this.noted(opcode, null);
    this.pending.add(id, pending);
    // INVARIANT: filled and sent in one go. Of answers that settle together, each would else be sent with what the last
    // one wrote into the buffer that all share: another file's handle, or its bytes.
    const answer = (fill: () => number): void => {
      const result = this.filled(fill, operation);
      const ms = performance.now() - begunMs;
      this.times.take(opcode, result, ms);
      if (!this.closed) send(this.devFd, seal(result, low, high));
      this.pending.delete(id);
      this.slow.answered(id, pending, ms);
    };
    void promise.then(
      (value) => answer(() => encode(value)),
      (error: unknown) => answer(() => this.faults.take(error, operation)),
    );
    return NO_REPLY;
  }

  private explain(node: NodeId, id: number): Waiting {
    try {
      return this.fs.explainWait(node, id);
    } catch {
      // What is damaged, the request itself reports.
      return { path: null, what: null };
    }
  }

  /** Returns what is to be known of the request that is being handled, if it is answered later. */
  private noted(opcode: number, gate: string | null): PendingRequest {
    const { begunMs } = this;
    return { opcode, node: u64(IN.nodeid), pid: u32(IN.pid), begunMs, gate, isSlow: false };
  }

  private filled(fill: () => number, operation: string): number {
    try {
      return fill();
    } catch (error) {
      return this.faults.take(error, operation);
    }
  }

  interrupted(id: number): void {
    if (this.pending.has(id)) this.fs.interrupt(id);
  }

  private readonly fault = (error: unknown, operation: string): number =>
    this.faults.take(error, operation);

  /** The add-on's callback. Returns the reply's length in bytes, 0 for none (now). */
  private readonly onRequest = (): number => {
    const opcode = u32(IN.opcode);
    if (opcode < OPCODES) (this.counts[opcode] as number)++;
    return this.handle(opcode);
  };

  private handle(opcode: number): number {
    this.begunMs = performance.now();
    const result = this.serve(opcode);
    if (result !== NO_REPLY) {
      const ms = performance.now() - this.begunMs;
      this.times.take(opcode, result, ms);
      this.slow.took(opcode, u64(IN.nodeid), u32(IN.pid), ms);
    }
    if (wireLog !== null) wireLog(result);
    return seal(result, u32(IN.unique), u32(IN.unique + 1));
  }

  private serve(opcode: number): number {
    const fs = this.fileSystem;
    if (fs === null) return this.init(opcode);
    const { caller } = fs;
    caller.uid = u32(IN.uid);
    caller.gid = u32(IN.gid);
    caller.pid = u32(IN.pid);
    caller.request = requestId(IN.unique);
    if ((this.gate !== null || this.identify !== null) && changesSomething(opcode)) {
      const { gate } = this;
      const first = gate?.ends ?? this.identify?.(caller.pid) ?? null;
      if (first !== null) return this.serveAfter(first, opcode, gate?.why ?? TRACED);
    }
    return dispatch(this, opcode, this.fault);
  }

  /** Serves the request in the shared buffer once `first` resolves, from a copy. */
  private serveAfter(first: Promise<void>, opcode: number, why: string): number {
    const copy = Buffer.from(request.subarray(0, u32(IN.len)));
    // Its number is one that no INTERRUPT names: there is nothing to give up yet.
    const id = -requestId(IN.unique);
    const pending = this.noted(opcode, why);
    this.pending.add(id, pending);
    void first.then(() => {
      if (!this.closed) {
        copy.copy(request);
        const length = this.handle(u32(IN.opcode));
        if (length > 0) send(this.devFd, length);
      }
      this.pending.delete(id);
      this.slow.answered(-id, pending, performance.now() - pending.begunMs);
    });
    return NO_REPLY;
  }

  private init(opcode: number): number {
    const granted = opcode === OP.INIT ? negotiate(this.wishes) : null;
    if (granted === null) {
      this.neverReady(new Error('the kernel speaks a FUSE protocol older than 7.31'));
      return -EPROTO;
    }
    try {
      this.begin(granted);
    } catch (error) {
      this.neverReady(error instanceof Error ? error : new Error(String(error)));
      return this.faults.take(error, 'INIT');
    }
    this.becomeReady();
    return putInitOut(this.wishes, granted);
  }

  private begin(granted: Granted): void {
    this.answer = granted;
    const { mountpoint, fileSystem } = this.options;
    this.fileSystem = fileSystem(sessionPorts(this.devFd, mountpoint, granted, this.notifier));
  }

  private resume(granted: Granted): void {
    this.begin(granted);
    this.becomeReady();
  }

  private readonly onEnd = (errno: number): void => {
    if (this.over) return;
    this.over = true;
    this.closed = true;
    this.neverReady(new Error('the mount ended before it was ready'));
    void this.pending.drained().then(() => {
      this.fileSystem?.destroy();
      return this.close(errno);
    });
  };

  /**
   * Closes the connection. The descriptor goes last: while a message is being written its number must not be
   * reused.
   */
  private async close(errno: number): Promise<void> {
    this.closed = true;
    this.slow.close();
    await this.notifier.close();
    native.close(this.devFd);
    this.finish(errno);
  }
}
