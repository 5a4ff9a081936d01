/** Exit code 0 if node_modules holds what package-lock.json asks for, else 1. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '..');

const wanted = packages('package-lock.json');
const installed = packages('node_modules/.package-lock.json');
const missing = Object.entries(wanted).filter(
  ([place, entry]) =>
    place !== '' && !entry.optional && entry.version !== installed[place]?.version,
);
process.exitCode = missing.length > 0 ? 1 : 0;

function packages(lock) {
  try {
    return JSON.parse(readFileSync(path.join(ROOT, lock), 'utf8')).packages;
  } catch {
    return {};
  }
}
