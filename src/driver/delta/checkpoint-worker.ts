/** The checkpoint thread: does jobs one after another, for all envs of a process. */
import { parentPort } from 'node:worker_threads';
import { isDamage, reasonOf } from '../../base/damaged.ts';
import { type CheckpointJob, runCheckpoint } from './checkpoint-job.ts';
import { type DrainJob, runDrain } from './drain-journal.ts';

/** A job sent to the checkpoint thread. */
export interface CheckpointRequest {
  readonly id: number;
  readonly job: CheckpointJob | DrainJob;
}

/** Why a job failed. */
export interface FailedJob {
  readonly message: string;
  /** True if what is on disk is damaged, so that trying again is of no use. */
  readonly isDamage: boolean;
}

/** The thread's answer to a request. */
export interface CheckpointReply {
  readonly id: number;
  /** Why the job failed; null if it did not. */
  readonly error: FailedJob | null;
  /** What runDrain() returned. */
  readonly moved: readonly string[];
}

const port = parentPort;
if (port === null) throw new Error('this is the entry of a worker thread');

let last: Promise<void> = Promise.resolve();

port.on('message', ({ id, job }: CheckpointRequest) => {
  const reply = (error: FailedJob | null, moved: readonly string[]) =>
    port.postMessage({ id, error, moved } satisfies CheckpointReply);
  last = last
    .then(() => doJob(job))
    .then(
      (moved) => reply(null, moved),
      (error: unknown) => reply(failed(error), []),
    );
});

const failed = (error: unknown): FailedJob => ({
  message: error instanceof Error ? reasonOf(error) : String(error),
  isDamage: isDamage(error),
});

async function doJob(job: CheckpointJob | DrainJob): Promise<readonly string[]> {
  if ('drain' in job) return runDrain(job);
  await runCheckpoint(job);
  return [];
}
