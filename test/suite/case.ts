import path from 'node:path';

/** What a case gets: a fresh directory of its own, under the file system that is tested. */
export interface CaseContext {
  readonly dir: string;
  /** A path below `dir`. */
  readonly at: (...names: string[]) => string;
}

/** One promise of a local file system: throws if it is broken. Runs as root, alone in a process. */
export type Case = (context: CaseContext) => void | Promise<void>;

/** The cases of one theme, by a name that says what must hold. */
export type CaseGroup = Readonly<Record<string, Case>>;

export const contextFor = (dir: string): CaseContext => ({
  dir,
  at: (...names) => path.join(dir, ...names),
});

/** Joins groups into one map; keys are `theme: case`. */
export function joinGroups(groups: Readonly<Record<string, CaseGroup>>): ReadonlyMap<string, Case> {
  const all = new Map<string, Case>();
  for (const [theme, group] of Object.entries(groups)) {
    for (const [name, run] of Object.entries(group)) all.set(`${theme}: ${name}`, run);
  }
  return all;
}
