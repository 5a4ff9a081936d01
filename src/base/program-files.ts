import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** True if this program runs from its sources, through tsx; false if from the bundle in dist/. */
export const runsFromSources = import.meta.url.endsWith('.ts');

/**
 * Returns the path of a program's file: in src/, or its bundle in dist/.
 * @param entry its place in both, without an ending: 'api/daemon'
 */
export function programFile(entry: string): string {
  return runsFromSources
    ? path.join(checkout(), 'src', `${entry}.ts`)
    : path.join(checkout(), 'dist', `${entry}.js`);
}

/** Returns the directory with package.json. @throws Error if no directory above this file has one */
export function checkout(): string {
  const here = path.dirname(fileURLToPath(import.meta.url));
  for (let at = here; at !== path.dirname(at); at = path.dirname(at)) {
    if (existsSync(path.join(at, 'package.json'))) return at;
  }
  throw new Error(`no package.json above ${here}`);
}

/**
 * Imports a program as a module, when it is needed.
 * @param entry as programFile() takes it
 */
export function importProgram(entry: string): Promise<unknown> {
  const url = pathToFileURL(programFile(entry)).href;
  // bin/byref.cjs runs the command line in a way in which it can't import anything itself.
  const { byrefImport } = globalThis as { byrefImport?: (url: string) => Promise<unknown> };
  return byrefImport?.(url) ?? import(url);
}
