/** Finds out who needs an object: templates, paths and versions, and the envs that see them. */
import type { Ino, Name, ObjectId } from '../../../base/ids.ts';
import { decodeEnv } from '../../../codec/store-rows.ts';
import { COMPOSITION_VERSION, compositionName } from '../../../store/compositions.ts';
import type { StackRef } from '../../../store/store.ts';
import type { Job } from './job.ts';
import { eachLink } from './link-scan.ts';
import { eachRow } from './rows.ts';

/** One name that has the object in some versions. */
export interface ObjectUse {
  readonly template: number;
  readonly dir: Ino | 0;
  readonly name: Name | '';
  /** The first and last of the existing versions that have it. */
  readonly from: number;
  readonly to: number;
  /** Size and blocks according to the link record. */
  readonly size: number;
  readonly blocks: number;
}

/** How many names of one object are listed; further ones are counted. */
const NAMED_MAX = 3;

/** Finds all uses of the objects, in one pass over all link rows. */
export function usesOf(job: Job, ids: ReadonlySet<ObjectId>): Map<ObjectId, ObjectUse[]> {
  const uses = new Map<ObjectId, ObjectUse[]>();
  for (const { template, dir, name, changes } of eachLink(job.tables)) {
    let next = Number.POSITIVE_INFINITY;
    for (const { version, record } of changes) {
      const until = next;
      next = version;
      if (record === null || record.object === '' || !ids.has(record.object)) continue;
      const { versions = [] } = job.catalog.get(template) ?? {};
      const to = versions.findLast((number) => number < until) ?? version;
      const found = uses.get(record.object) ?? [];
      const { size, blocks } = record;
      found.push({ template, dir, name, from: version, to, size, blocks });
      uses.set(record.object, found);
    }
  }
  return uses;
}

/** Describes uses: "debian@1-3 /usr/bin/x, debian@2 /usr/bin/y and 4 more; seen by env web1, web2". */
export function describeUses(job: Job, uses: readonly ObjectUse[] = []): string {
  if (uses.length === 0) return describeNames([]);
  const envs = envsThatSee(job, uses);
  const seen = envs.length === 0 ? 'no env sees it' : `seen by env ${envs.join(', ')}`;
  return `${describeNames(namesOf(job, uses))}; ${seen}`;
}

/** A name of a template that needs an object. */
export interface NeededName {
  /** The template's name. For a composition, what it is made of: "os@1 + app@2". */
  readonly template: string;
  /** A version, or the first and the last one: "1-3"; null for a composition, which has only one. */
  readonly versions: string | null;
  readonly path: string;
}

/** Describes names: "needed by debian@1-3 /usr/bin/x, debian@2 /usr/bin/y and 4 more". */
export function describeNames(names: readonly NeededName[]): string {
  if (names.length === 0) return 'no version names it';
  const named = names.slice(0, NAMED_MAX).map(({ template, versions, path }) => {
    return `${versions === null ? template : `${template}@${versions}`} ${path}`;
  });
  const more = names.length > NAMED_MAX ? ` and ${names.length - NAMED_MAX} more` : '';
  return `needed by ${named.join(', ')}${more}`;
}

/** Returns the names of templates that have the object. */
export const namesOf = (job: Job, uses: readonly ObjectUse[] = []): NeededName[] =>
  uses.map((use) => nameOf(job, use));

function nameOf(job: Job, { template, dir, name, from, to }: ObjectUse): NeededName {
  return {
    template: job.templateName(template),
    versions: job.isComposition(template) ? null : from === to ? String(from) : `${from}-${to}`,
    path: job.paths.place(dir, name),
  };
}

/** Returns the names of envs whose stack has one of these names. */
export function envsThatSee(job: Job, uses: readonly ObjectUse[] = []): string[] {
  const names: string[] = [];
  for (const { value } of eachRow(job.tables, 'envs', decodeEnv)) {
    const stack = composedStack(job, job.plainStack(value.stack));
    const sees = stack.some(({ templateId, version }) =>
      uses.some(
        ({ template, from, to }) => template === templateId && from <= version && version <= to,
      ),
    );
    if (sees) names.push(value.name);
  }
  return names;
}

/** Returns the stack with its composition, if it has one. */
function composedStack({ catalog }: Job, plain: readonly StackRef[]): readonly StackRef[] {
  const name = compositionName(plain);
  const made = [...catalog.values()].find(({ row }) => row?.name === name);
  return made === undefined
    ? plain
    : [...plain, { templateId: made.id, version: COMPOSITION_VERSION }];
}

/** Returns the remedy that brings back an object which a template has. */
export function importAgain(job: Job, uses: readonly ObjectUse[] = []): string {
  const use = uses.find(({ template }) => !job.isComposition(template));
  if (use === undefined) return 'restore its file from a backup';
  const name = job.templateName(use.template);
  return `import the source of ${name}@${use.from} again (byref template import ${name} SOURCE), or restore its file from a backup`;
}

/**
 * Returns the compositions that have the object, if nothing else has it: their content can be made again. Else
 * none.
 */
export function onlyComposed(job: Job, uses: readonly ObjectUse[] = []): number[] {
  const templates = [...new Set(uses.map(({ template }) => template))];
  return templates.every((id) => job.isComposition(id)) ? templates : [];
}
