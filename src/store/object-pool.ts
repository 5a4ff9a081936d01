/**
 * Runs object jobs in parallel: one worker thread per core, fed in batches, and started only when there is
 * enough work to pay for them.
 */
import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import { startWorker } from '../base/start-worker.ts';
import { type JobPlace, type ObjectJob, ObjectJobs, type ObjectResult } from './object-job.ts';

/** A worker's answer to a batch: the results of the jobs up to the first that failed, and its error. */
export interface BatchResult {
  readonly results: ObjectResult[];
  error: { readonly message: string; readonly code: string } | null;
}

type Done = (result: ObjectResult) => void;

/** A worker, and the callbacks of what it works on. */
interface Lane {
  readonly worker: Worker;
  /** Callbacks of the batches under way, oldest first. */
  readonly pending: Done[][];
}

/** How many jobs and bytes are done in this thread before workers are worth starting. */
const INLINE_JOBS = 200;
const INLINE_BYTES = 8 * 2 ** 20;
const WORKERS_MAX = 8;
/** A batch is sent when it has this many jobs or bytes. */
const BATCH_JOBS = 64;
const BATCH_BYTES = 2 ** 20;
/** How many bytes may wait in workers before add() makes its caller wait. */
const IN_FLIGHT_BYTES = 64 * 2 ** 20;
const IN_FLIGHT_JOBS = 4096;

/** Object jobs that are under way, with the workers that do them. */
export class ObjectPool {
  private readonly place: Omit<JobPlace, 'prefix'>;
  private readonly inline: ObjectJobs;
  private readonly lanes: Lane[] = [];
  private batch: ObjectJob[] = [];
  private batchDone: Done[] = [];
  private batchBytes = 0;
  private jobs = 0;
  private bytes = 0;
  private inFlightJobs = 0;
  private inFlightBytes = 0;
  private failure: Error | null = null;
  private wake: (() => void) | null = null;

  constructor(place: Omit<JobPlace, 'prefix'>) {
    this.place = place;
    this.inline = new ObjectJobs({ ...place, prefix: 'm' });
  }

  /**
   * Runs the job, at once or later; `done` gets its result.
   * @returns a promise if the caller should wait for it before it adds more, else null
   * @throws the error of an earlier job
   */
  add(job: ObjectJob, bytes: number, done: Done): Promise<void> | null {
    if (this.failure !== null) throw this.failure;
    this.jobs++;
    this.bytes += bytes;
    if (this.jobs <= INLINE_JOBS && this.bytes <= INLINE_BYTES) {
      done(this.inline.run(job));
      return null;
    }
    this.batch.push(job);
    this.inFlightJobs++;
    this.inFlightBytes += bytes;
    this.batchDone.push((result) => {
      this.inFlightJobs--;
      this.inFlightBytes -= bytes;
      done(result);
    });
    this.batchBytes += bytes;
    if (this.batch.length >= BATCH_JOBS || this.batchBytes >= BATCH_BYTES) this.send();
    return this.full() ? this.until(() => !this.full()) : null;
  }

  /** Waits until all jobs are done. @throws the error of one that failed */
  async finish(): Promise<void> {
    if (this.batch.length > 0) this.send();
    await this.until(() => this.inFlightJobs === 0);
  }

  /** Ends the workers, whatever they are doing. */
  async close(): Promise<void> {
    await Promise.all(this.lanes.map(({ worker }) => worker.terminate()));
    this.lanes.length = 0;
  }

  private full(): boolean {
    return this.inFlightBytes > IN_FLIGHT_BYTES || this.inFlightJobs > IN_FLIGHT_JOBS;
  }

  private async until(condition: () => boolean): Promise<void> {
    while (this.failure === null && !condition()) {
      if (this.full()) this.send();
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    if (this.failure !== null) throw this.failure;
  }

  private send(): void {
    if (this.batch.length === 0) return;
    if (this.lanes.length === 0) this.start();
    // To the least busy one.
    const lane = this.lanes.reduce((a, b) => (b.pending.length < a.pending.length ? b : a));
    lane.pending.push(this.batchDone);
    lane.worker.postMessage(this.batch);
    this.batch = [];
    this.batchDone = [];
    this.batchBytes = 0;
  }

  private start(): void {
    const count = Math.min(WORKERS_MAX, availableParallelism());
    for (let i = 0; i < count; i++) {
      const worker = startWorker('store/object-worker', {
        workerData: { ...this.place, prefix: `w${i}-` },
      });
      const lane: Lane = { worker, pending: [] };
      worker.on('message', (result: BatchResult) => this.receive(lane, result));
      worker.on('error', (error) => this.fail(error));
      this.lanes.push(lane);
    }
  }

  private receive(lane: Lane, { results, error }: BatchResult): void {
    const done = lane.pending.shift() ?? [];
    for (const [i, result] of results.entries()) done[i]?.(result);
    if (error === null) this.wake?.();
    else this.fail(Object.assign(new Error(error.message), { code: error.code }));
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.wake?.();
  }
}
