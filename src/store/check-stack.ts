/** Refuses stacks whose templates do not go together. */
import { ByrefError } from '../base/error.ts';
import { nameToText, ROOT_INO } from '../base/ids.ts';
import { isDir } from '../base/mode.ts';
import type { VersionBase } from '../codec/store-rows.ts';
import type { LowerTree } from '../driver/core/ports.ts';

/** One template of a stack, by itself. */
export interface StackPart {
  readonly template: string;
  readonly templateId: number;
  /** The version that it was installed on, if it is an app for which that is known. */
  readonly base: VersionBase | null;
  readonly lower: LowerTree;
}

/** How many names of a root directory are checked: more than any has. */
const ENTRIES_MAX = 4096;

/**
 * Refuses a stack in which one template has a directory at the root where another has something else. The
 * usual case: an app with its files in `/lib` over a Debian whose `/lib` is a symlink to `usr/lib`; the
 * directory would hide the system's libraries.
 * @throws ByrefError 'badInput'
 */
export function checkStack(parts: readonly StackPart[]): void {
  parts.forEach((upper, i) => {
    for (const { name, record } of upper.lower.list(ROOT_INO, 0, ENTRIES_MAX)) {
      for (const under of parts.slice(0, i)) {
        const below = under.lower.lookup(ROOT_INO, name);
        if (below === null || isDir(below.mode) === isDir(record.mode)) continue;
        const path = `/${nameToText(name)}`;
        const what = isDir(record.mode) ? 'a directory' : 'no directory';
        throw new ByrefError(
          'badInput',
          `${upper.template} has ${what} at ${path}, unlike ${under.template}, which it would hide`,
          `Import ${upper.template} again with what is in ${path} where ${under.template} has it (as /usr${path}).`,
        );
      }
    }
  });
}

/**
 * Refuses an app that was built on another OS template: the app holds only what it added to that one.
 * @throws ByrefError 'badInput'
 */
export function checkBases(
  [os, ...apps]: readonly StackPart[],
  nameOf: (templateId: number) => string,
): void {
  for (const { template, base } of apps) {
    if (base === null || base.templateId === os?.templateId) continue;
    const other = nameOf(base.templateId);
    const message = `${template} is an app for ${other}, not for ${os?.template ?? '?'}`;
    const hint = `Use it on ${other}, or build one of another name with "base: ${os?.template ?? '?'}".`;
    throw new ByrefError('badInput', message, hint);
  }
}
