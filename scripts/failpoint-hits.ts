/**
 * Prints all failpoints of the source with how often each was hit: `failpoint-hits.ts FILE`, the file of BYREF_FAILPOINT_HITS. Ends with 1 if
 * one was never hit.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const SOURCE = path.join(import.meta.dirname, '../src');
const CALL = /\bfailpoint(?:Error)?\(\s*'([\w-]+)'\s*\)/g;

interface Hits {
  passed: number;
  fault: number;
}

const counts = new Map<string, Hits>();
for (const file of readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })) {
  if (!file.endsWith('.ts')) continue;
  for (const [, name = ''] of readFileSync(path.join(SOURCE, file), 'utf8').matchAll(CALL))
    counts.set(name, { passed: 0, fault: 0 });
}
const [, , file = ''] = process.argv;
for (const line of readFileSync(file, 'utf8').split('\n')) {
  const [what, name = ''] = line.split(' ');
  const hits = counts.get(name);
  if (hits !== undefined && (what === 'passed' || what === 'fault')) hits[what]++;
}
const sorted = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
const never = sorted.filter(([, { passed, fault }]) => passed + fault === 0);
console.log(`${'failpoint'.padEnd(24)}${'passed'.padStart(10)}${'faults'.padStart(10)}`);
for (const [name, { passed, fault }] of sorted)
  console.log(`${name.padEnd(24)}${String(passed).padStart(10)}${String(fault).padStart(10)}`);
console.log(`${sorted.length} failpoints, ${never.length} of them never hit`);
for (const [name] of never) console.error(`never hit: ${name}`);
process.exitCode = never.length > 0 ? 1 : 0;
