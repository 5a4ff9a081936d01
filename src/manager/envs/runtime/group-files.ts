/** Reads files of control groups, on v1, hybrid and v2. A group may go at any moment: then a value is null. */
import path from 'node:path';
import { procText } from '../../../base/proc.ts';
import { isUnified } from './cgroups.ts';

const MOUNTED = '/sys/fs/cgroup';

/**
 * Returns the text of a group's file; '' if there is none.
 * @param hierarchy the v1 controller; on v2 there is one hierarchy
 */
export const groupText = (hierarchy: string, group: string, file: string): string =>
  procText(path.join(MOUNTED, isUnified() ? '' : hierarchy, group, file));

/** Returns the number that a group's file holds. */
export const groupNumber = (hierarchy: string, group: string, file: string): number | null =>
  numberIn(groupText(hierarchy, group, file));

/** Returns a number of a text of lines "NAME NUMBER". */
export const namedNumber = (text: string, name: string): number | null =>
  numberIn(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1] ?? '');

function numberIn(text: string): number | null {
  const number = Number.parseInt(text, 10);
  return Number.isSafeInteger(number) ? number : null;
}
