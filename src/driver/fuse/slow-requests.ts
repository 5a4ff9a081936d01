/**
 * Reports requests that take longer than they should. A request costs nothing for it: once in a while this looks at those that
 * wait for a late answer. One that holds up the whole process, and so this, too, is reported at its end.
 */
import type { NodeId } from '../../base/ids.ts';
import type { Waiting } from '../core/api.ts';
import { opcodeName } from './dispatch.ts';
import type { Pending, PendingRequest } from './pending.ts';
import { OP } from './wire.ts';

/** A request that takes long, or took long. */
export interface SlowRequest {
  /** The name of its opcode: WRITE. */
  readonly operation: string;
  readonly node: number;
  /** A path of its file in the env; null if it is not known. */
  readonly path: string | null;
  /** The process that made it, as the driver sees it. */
  readonly pid: number;
  /** How long it takes, or took. */
  readonly ms: number;
  /** What it waits for; null if it was answered. */
  readonly waitsFor: string | null;
}

/** A disk under load answers within a second; what takes several, a person notices. */
const SLOW_MS = 5_000;
const LOOK_MS = 1_000;
const LOOK_MIN_MS = 10;

const slowMs = Number(process.env['BYREF_SLOW_REQUEST_MS'] ?? SLOW_MS) || SLOW_MS;
const lookMs = Math.max(LOOK_MIN_MS, Math.min(LOOK_MS, slowMs));

/** What is waited for where the filesystem knows of nothing else. */
const OF_OPCODE: Readonly<Record<number, string>> = {
  [OP.READ]: 'the disk, to read',
  [OP.WRITE]: 'the disk, to write',
  [OP.FSYNC]: "the disk, to have the file's bytes",
  [OP.FALLOCATE]: 'the disk, to give room',
};

/** All that are looked at, by one timer: there may be a thousand mounts. */
const watched = new Set<SlowRequests>();
let timer: NodeJS.Timeout | null = null;

function look(): void {
  const now = performance.now();
  for (const each of watched) each.look(now);
}

/** The slow requests of one session. */
export class SlowRequests {
  /** How many were reported. */
  count = 0;
  private readonly pending: Pending;
  private readonly explain: (node: NodeId, id: number) => Waiting;
  private readonly report: (request: SlowRequest) => void;

  /** @param explain says what a request waits for: FileSystem.explainWait */
  constructor(
    pending: Pending,
    explain: (node: NodeId, id: number) => Waiting,
    report: (request: SlowRequest) => void,
  ) {
    this.pending = pending;
    this.explain = explain;
    this.report = report;
    watched.add(this);
    timer ??= setInterval(look, lookMs).unref();
  }

  close(): void {
    watched.delete(this);
    if (watched.size > 0 || timer === null) return;
    clearInterval(timer);
    timer = null;
  }

  /** Reports requests that are slow by now, each once. */
  look(now: number): void {
    if (this.pending.count === 0) return;
    for (const [id, request] of this.pending.before(now - slowMs)) {
      if (request.isSlow) continue;
      request.isSlow = true;
      this.count++;
      const { path, what } = this.explain(request.node as NodeId, id);
      const waitsFor = request.gate ?? what ?? OF_OPCODE[request.opcode] ?? 'the disk';
      this.tell(request, path, now - request.begunMs, waitsFor);
    }
  }

  /** Takes note of a late answer. */
  answered(id: number, request: PendingRequest, ms: number): void {
    if (ms < slowMs && !request.isSlow) return;
    if (!request.isSlow) this.count++;
    this.tell(request, this.explain(request.node as NodeId, id).path, ms, null);
  }

  /** Takes note of a request that was answered at once. */
  took(opcode: number, node: number, pid: number, ms: number): void {
    if (ms < slowMs) return;
    this.count++;
    this.tell({ opcode, node, pid }, null, ms, null);
  }

  private tell(
    { opcode, node, pid }: Pick<PendingRequest, 'opcode' | 'node' | 'pid'>,
    path: string | null,
    ms: number,
    waitsFor: string | null,
  ): void {
    const operation = opcodeName(opcode);
    this.report({ operation, node, path, pid, ms: Math.round(ms), waitsFor });
  }
}
