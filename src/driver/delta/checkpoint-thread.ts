import type { Worker } from 'node:worker_threads';
import { Damaged } from '../../base/damaged.ts';
import { startWorker } from '../../base/start-worker.ts';
import type { CheckpointJob } from './checkpoint-job.ts';
import type { CheckpointReply, CheckpointRequest, FailedJob } from './checkpoint-worker.ts';
import type { DrainJob } from './drain-journal.ts';

/** MiB of the thread's heap for young objects, which are all that it makes: V8 would take 48. */
const YOUNG_MIB = 6;

interface Waiting {
  resolve(): void;
  reject(error: Error): void;
}

/**
 * The thread that writes link tables: LMDB waits for the disk, and the thread that serves requests must not. One
 * thread serves all envs of the process. The first checkpoint starts it; it keeps the process from exiting only
 * while there is a job.
 */
class CheckpointThread {
  #worker: Worker | null = null;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  /** Resolves when the job is done and on disk; rejects with the reason if it fails. */
  run(job: CheckpointJob | DrainJob): Promise<void> {
    const worker = this.#started();
    const id = ++this.#lastId;
    worker.ref();
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.postMessage({ id, job } satisfies CheckpointRequest);
    });
  }

  #started(): Worker {
    if (this.#worker !== null) return this.#worker;
    const worker = startWorker('driver/delta/checkpoint-worker', {
      name: 'byref-checkpoint',
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB },
    });
    this.#worker = worker;
    worker.on('message', (reply: CheckpointReply) => this.#take(worker, reply));
    worker.on('error', (error) => this.#lose(worker, error));
    worker.on('exit', () => this.#lose(worker, new Error('the checkpoint thread ended')));
    return worker;
  }

  #take(worker: Worker, { id, error }: CheckpointReply): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) worker.unref();
    if (error === null) waiting?.resolve();
    else waiting?.reject(errorOf(error));
  }

  /** Rejects all waiting jobs after the thread ended; the next job starts another thread. */
  #lose(worker: Worker, error: Error): void {
    if (this.#worker !== worker) return;
    this.#worker = null;
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }
}

function errorOf({ message, isDamage, isNoSpace }: FailedJob): Error {
  if (isDamage) return new Damaged(message);
  return isNoSpace ? Object.assign(new Error(message), { code: 'ENOSPC' }) : new Error(message);
}

const thread = new CheckpointThread();

/** Does the job on the checkpoint thread. On an error it throws, and leaves the table as before. */
export const checkpointInThread = (job: CheckpointJob): Promise<void> => thread.run(job);

/** Does runDrain() on the checkpoint thread. On an error it throws; a part of the journal may have been moved. */
export const drainInThread = (job: DrainJob): Promise<void> => thread.run(job);
