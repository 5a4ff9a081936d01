import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/**
 * Node's arguments that start one of our programs, the way this one was started: from the bundle in
 * dist/, or from the sources through tsx.
 * @param name 'driver/main'
 */
export function entryPoint(name: string): string[] {
  const here = fileURLToPath(import.meta.url);
  const top = checkout(path.dirname(here));
  if (here.endsWith('.ts')) {
    // Found from here: `--import tsx` would look from the working directory.
    const tsx = pathToFileURL(createRequire(here).resolve('tsx')).href;
    return ['--import', tsx, path.join(top, 'src', `${name}.ts`)];
  }
  return [path.join(top, 'dist', `${name}.js`)];
}

/** The directory that holds package.json, from this file's upwards. */
function checkout(from: string): string {
  for (let at = from; at !== path.dirname(at); at = path.dirname(at)) {
    if (existsSync(path.join(at, 'package.json'))) return at;
  }
  throw new Error(`no package.json above ${from}`);
}
