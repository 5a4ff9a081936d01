/** The checkpoint thread: does jobs one after another, for all envs of a process. */
import { parentPort } from 'node:worker_threads';
import { type CheckpointJob, runCheckpoint } from './checkpoint-job.ts';

/** A job sent to the checkpoint thread. */
export interface CheckpointRequest {
  readonly id: number;
  readonly job: CheckpointJob;
}

/** The thread's answer to a request. */
export interface CheckpointReply {
  readonly id: number;
  /** The error's message if the job failed, else null. */
  readonly error: string | null;
}

const port = parentPort;
if (port === null) throw new Error('this is the entry of a worker thread');

let last: Promise<void> = Promise.resolve();

port.on('message', ({ id, job }: CheckpointRequest) => {
  const reply = (error: string | null) => port.postMessage({ id, error } satisfies CheckpointReply);
  last = last
    .then(() => runCheckpoint(job))
    .then(
      () => reply(null),
      (error: unknown) => reply(error instanceof Error ? error.message : String(error)),
    );
});
