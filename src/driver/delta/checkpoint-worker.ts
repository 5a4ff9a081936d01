/** The checkpoint thread: does jobs one after another, for all envs of a process. */
import { parentPort } from 'node:worker_threads';
import { isDamage, reasonOf } from '../../base/damaged.ts';
import { isNoSpaceFor } from '../../base/no-space.ts';
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
  /** True if the disk is full. */
  readonly isNoSpace: boolean;
}

/** The thread's answer to a request. */
export interface CheckpointReply {
  readonly id: number;
  /** Why the job failed; null if it did not. */
  readonly error: FailedJob | null;
}

const port = parentPort;
if (port === null) throw new Error('this is the entry of a worker thread');

let last: Promise<void> = Promise.resolve();

port.on('message', ({ id, job }: CheckpointRequest) => {
  const reply = (error: FailedJob | null) =>
    port.postMessage({ id, error } satisfies CheckpointReply);
  last = last
    .then(() => ('drain' in job ? runDrain(job) : runCheckpoint(job)))
    .then(
      () => reply(null),
      (error: unknown) => reply(failed(error, 'drain' in job ? job.drain : job.envDir)),
    );
});

const failed = (error: unknown, envDir: string): FailedJob => ({
  message: error instanceof Error ? reasonOf(error) : String(error),
  isDamage: isDamage(error),
  isNoSpace: isNoSpaceFor(envDir, error),
});
