/** Finds the version that a patch or a rollback goes to. */
import { ByrefError } from '../../base/error.ts';
import type { PatchHead, PatchRecord } from '../../codec/patch-record.ts';
import type { Store, TemplateRow, VersionRow } from '../../store/store.ts';

/** Finds a template by its name. @throws ByrefError 'notFound' */
export function needTemplate(store: Store, name: string): TemplateRow {
  return store.catalog.resolve(name).template;
}

/** Finds a version of a template by its number. @throws ByrefError 'notFound' */
export function needVersion(store: Store, template: TemplateRow, number: number): VersionRow {
  const version = store.catalog.version(template.id, number);
  if (version !== null) return version;
  const message = `template ${template.name} has no version ${number}`;
  throw new ByrefError('notFound', message, `See byref template log ${template.name}.`);
}

/**
 * Finds the version that a patch goes to: the one named, or the newest staged one. Null if there is none.
 * @throws ByrefError 'notFound'; 'usage' for one that is older than the current one
 */
export function patchTarget(
  store: Store,
  template: TemplateRow,
  to: number | null,
): VersionRow | null {
  if (to === null) {
    const staged = store
      .versions(template.id)
      .filter(({ staged, number }) => staged && number > template.current);
    return staged.at(-1) ?? null;
  }
  const version = needVersion(store, template, to);
  if (version.number >= template.current) return version;
  const message = `${template.name}@${to} is older than the current version ${template.current}`;
  const hint = `To go back, use: byref rollback ${template.name} --to ${to}`;
  throw new ByrefError('usage', message, hint);
}

/** Finds the newest version above the current one that was current before, so that a rollback left it. Null if there is none. */
export function rolledBack(store: Store, { id, current }: TemplateRow): VersionRow | null {
  const newer = store.versions(id).filter(({ staged, number }) => !staged && number > current);
  return newer.at(-1) ?? null;
}

/**
 * Finds the version that a rollback goes to: the one named, or the one that was current before this one. Null if there is
 * none.
 * @throws ByrefError 'notFound'; 'usage' for one that was never current
 */
export function rollbackTarget(
  store: Store,
  template: TemplateRow,
  to: number | null,
): VersionRow | null {
  const past = pastVersions(store, template);
  if (to === null) {
    const number = past.at(-1);
    return number === undefined ? null : needVersion(store, template, number);
  }
  const version = needVersion(store, template, to);
  if (to === template.current) return version;
  if (version.staged) {
    const message = `${template.name}@${to} was never current`;
    const hint = `To go there, use: byref patch ${template.name} --to ${to}`;
    throw new ByrefError('usage', message, hint);
  }
  return version;
}

/**
 * Lists the versions that were current before the present one, the latest last: rollbacks go back to them one by one. A
 * rollback goes back along this way, so a version that was rolled back is not in it.
 */
export function pastVersions(store: Store, template: TemplateRow): number[] {
  const way = wayTo(flipsOf(store, template.id));
  if (way.at(-1) === template.current) way.pop();
  const exists = (number: number): boolean =>
    store.catalog.version(template.id, number) !== null && number !== template.current;
  return way.filter(exists);
}

/** Lists the patches and rollbacks that moved the template's current version, oldest first. */
function flipsOf(store: Store, templateId: number): PatchHead[] {
  return [...store.patches.heads()]
    .filter((record) => record.templateId === templateId && record.all)
    .reverse();
}

/** Lists the patches that a rollback to this version undoes, the latest first: those since it was last current. */
export function undoneBy(store: Store, templateId: number, to: number): PatchRecord[] {
  const undone: PatchRecord[] = [];
  for (const record of flipsOf(store, templateId).reverse()) {
    if (record.to === to) break;
    if (record.kind === 'patch') undone.push(store.patches.whole(record));
  }
  return undone;
}

/** Lists all patches to versions above this one, the latest first: what an env leaves that goes there by itself. */
export function patchesAbove(store: Store, templateId: number, version: number): PatchRecord[] {
  return [...store.patches.heads()]
    .filter(({ templateId: of, kind, to }) => of === templateId && kind === 'patch' && to > version)
    .map((head) => store.patches.whole(head));
}

/** Finds the patch that has envs at a version which the others do not see yet, and that waits for a decision; or null. */
export function openCanary(store: Store, templateId: number): PatchRecord | null {
  for (const head of store.patches.heads()) {
    if (head.templateId === templateId && head.state === 'canary') return store.patches.whole(head);
  }
  return null;
}

function wayTo(flips: readonly PatchHead[]): number[] {
  const way: number[] = [];
  for (const { kind, from, to } of flips) {
    if (way.at(-1) !== from) way.push(from);
    const before = way.lastIndexOf(to);
    if (kind === 'rollback' && before >= 0) way.length = before + 1;
    else way.push(to);
  }
  return way;
}
