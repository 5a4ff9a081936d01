/** The checkpoint thread: does jobs one after another, for all envs of a process. */
import { parentPort } from 'node:worker_threads';
import { type CheckpointJob, runCheckpoint } from './checkpoint-job.ts';
import { type DrainJob, runDrain } from './drain-journal.ts';

/** A job sent to the checkpoint thread. */
export interface CheckpointRequest {
  readonly id: number;
  readonly job: CheckpointJob | DrainJob;
}

/** The thread's answer to a request. */
export interface CheckpointReply {
  readonly id: number;
  /** The error's message if the job failed, else null. */
  readonly error: string | null;
  /** What runDrain() returned. */
  readonly moved: readonly string[];
}

const port = parentPort;
if (port === null) throw new Error('this is the entry of a worker thread');

let last: Promise<void> = Promise.resolve();

port.on('message', ({ id, job }: CheckpointRequest) => {
  const reply = (error: string | null, moved: readonly string[]) =>
    port.postMessage({ id, error, moved } satisfies CheckpointReply);
  last = last
    .then(() => doJob(job))
    .then(
      (moved) => reply(null, moved),
      (error: unknown) => reply(error instanceof Error ? error.message : String(error), []),
    );
});

async function doJob(job: CheckpointJob | DrainJob): Promise<readonly string[]> {
  if ('drain' in job) return runDrain(job);
  await runCheckpoint(job);
  return [];
}
