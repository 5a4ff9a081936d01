/** Runs the checks on a mount: client.ts MOUNTPOINT. Prints one JSON object: name to error or null. */
import fs from 'node:fs';
import path from 'node:path';
import { CHECKS } from './checks.ts';

const [mountpoint = ''] = process.argv.slice(2);
const results: Record<string, string | null> = {};
for (const [i, [name, check]] of Object.entries(CHECKS).entries()) {
  const directory = path.join(mountpoint, `check-${String(i)}`);
  try {
    fs.mkdirSync(directory);
    check(directory);
    results[name] = null;
  } catch (error) {
    results[name] = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}
console.log(JSON.stringify(results));
