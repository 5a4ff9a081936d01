import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Our own programs besides the command line: source below src/, by name in dist/ (scripts/bundle.mjs). */
const SOURCES = {
  driver: 'driver/main.ts',
  holder: 'driver/holder-main.ts',
} as const;

export type EntryPoint = keyof typeof SOURCES;

/**
 * Arguments for `process.execPath` that start one of our programs: the bundled file when this runs from
 * a bundle, else the source through tsx. Independent of the working directory.
 */
export function entryPoint(name: EntryPoint): string[] {
  const here = path.dirname(fileURLToPath(import.meta.url));
  if (path.basename(here) === 'dist') return [path.join(here, `${name}.js`)];
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  return ['--import', tsx, path.join(here, '..', SOURCES[name])];
}
