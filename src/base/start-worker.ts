import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker, type WorkerOptions } from 'node:worker_threads';

/**
 * Starts a worker thread of this program. Its entry is named by its place in src/ (`delta/x-worker`,
 * without an ending), which is also its bundle's place in dist/; whoever calls is one level below.
 *
 * From the checkout the entry is TypeScript: tsx is registered in the thread first, which `--import tsx`
 * does for the main thread only.
 */
export function startWorker(entry: string, options: WorkerOptions = {}): Worker {
  if (!import.meta.url.endsWith('.ts')) {
    return new Worker(new URL(`../${entry}.js`, import.meta.url), options);
  }
  // What require() finds is the CommonJS half, which can't register.
  const tsxForRequire = pathToFileURL(createRequire(import.meta.url).resolve('tsx/esm/api'));
  const tsx = new URL('index.mjs', tsxForRequire).href;
  const file = new URL(`../${entry}.ts`, import.meta.url).href;
  const bootstrap = `import('${tsx}').then(({ register }) => {
    register();
    return import('${file}');
  })`;
  return new Worker(bootstrap, { ...options, eval: true, execArgv: [] });
}
