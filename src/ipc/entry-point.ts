import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { checkout, programFile, runsFromSources } from '../base/program-files.ts';

/**
 * Returns the arguments with which Node starts one of our programs the way this one was started: from the
 * bundle in dist/, or from the sources through tsx.
 * @param name as programFile() takes it: 'cli/runner'
 */
export function entryPoint(name: string): string[] {
  if (!runsFromSources) return [programFile(name)];
  // Resolved from here: a plain `--import tsx` would be resolved from the working directory.
  const here = fileURLToPath(import.meta.url);
  const tsx = pathToFileURL(createRequire(here).resolve('tsx')).href;
  return ['--import', tsx, programFile(name)];
}

/** Returns the arguments with which Node starts a driver, which is to start fast: see bin/bundle.cjs. */
export const driverProgram = (): string[] =>
  runsFromSources
    ? entryPoint('driver/process/main')
    : [path.join(checkout(), 'bin/byref-driver.cjs')];

/** Returns the words that run the command line as a process of its own, the way this program was started. */
export const commandLineProgram = (): string[] =>
  runsFromSources
    ? [process.execPath, ...entryPoint('cli/main')]
    : [process.execPath, path.join(checkout(), 'bin/byref.cjs')];
