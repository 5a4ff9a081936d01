import { readdirSync } from 'node:fs';
import { envsDir } from '../../../store/root.ts';

/** Ids are 32-bit numbers, so this one and higher ones are not ids. */
const IDS = 2 ** 32;

/** Returns the ids that have a directory below envs/, lowest first; none if envs/ can't be listed. */
export function envDirectories(root: string): number[] {
  let names: string[];
  try {
    names = readdirSync(envsDir(root));
  } catch {
    return [];
  }
  return names
    .filter((name) => /^[1-9]\d{0,9}$/.test(name))
    .map(Number)
    .filter((id) => id < IDS - 1)
    .sort((a, b) => a - b);
}
