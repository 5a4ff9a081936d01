/** Runs batches of jobs in a worker thread of object-pool.ts. It is an entry point of its own in the bundle. */
import { parentPort, workerData } from 'node:worker_threads';
import { type JobPlace, type ObjectJob, ObjectJobs } from './object-job.ts';
import type { BatchResult } from './object-pool.ts';

const jobs = new ObjectJobs(workerData as JobPlace);

parentPort?.on('message', (batch: ObjectJob[]) => {
  const result: BatchResult = { results: [], error: null };
  try {
    for (const job of batch) result.results.push(jobs.run(job));
  } catch (cause) {
    const { message, code } = cause as NodeJS.ErrnoException;
    result.error = { message, code: code ?? '' };
  }
  parentPort?.postMessage(result);
});
