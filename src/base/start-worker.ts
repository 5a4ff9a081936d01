import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { programFile, runsFromSources } from './program-files.ts';

/**
 * Starts a worker thread of this program.
 *
 * In the checkout the entry is TypeScript, so tsx is registered in the thread first: `--import tsx`
 * registers it in the main thread only.
 * @param entry as programFile() takes it: 'driver/delta/x-worker'
 */
export function startWorker(entry: string, options: WorkerOptions = {}): Worker {
  const file = pathToFileURL(programFile(entry));
  if (!runsFromSources) return new Worker(file, options);
  // require() finds the CommonJS half, which can't register.
  const tsxForRequire = pathToFileURL(createRequire(import.meta.url).resolve('tsx/esm/api'));
  const tsx = new URL('index.mjs', tsxForRequire).href;
  const bootstrap = `import('${tsx}').then(({ register }) => {
    register();
    return import('${file.href}');
  })`;
  return new Worker(bootstrap, { ...options, eval: true, execArgv: [] });
}
