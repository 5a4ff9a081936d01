import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

/**
 * The objects of a root, by path, with mode and what their bytes hash to: equal before and after
 * whatever envs do.
 */
export function hashObjects(root: string): ReadonlyMap<string, string> {
  const dir = path.join(root, 'objects');
  const hashes = new Map<string, string>();
  for (const entry of fs.readdirSync(dir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const hash = createHash('sha256').update(fs.readFileSync(file)).digest('hex');
    hashes.set(path.relative(dir, file), `${hash} ${fs.statSync(file).mode.toString(8)}`);
  }
  return hashes;
}
