/** Compares two versions of a template, or of two. */
import { pathToText } from '../base/ids.ts';
import { type Difference, diffVersions } from '../manager/templates/diff.ts';
import { contentDiff } from '../manager/templates/diff-content.ts';
import { versionTree } from '../manager/templates/walk-version.ts';
import type { Store } from '../store/store.ts';

/** One path that differs. */
export interface TemplateDifference {
  /** Added, changed or deleted in the second version. */
  readonly kind: Difference['kind'];
  /** Absolute, as text. */
  readonly path: string;
  /** The difference of texts, if it was asked for. */
  readonly content?: string;
}

/** The versions to compare. */
export interface DiffRequest {
  /** NAME, or with `a` alone NAME@VERSION. */
  readonly name: string;
  /** A number; null: the current version. Without `b`, another NAME@VERSION is possible. */
  readonly a: string | null;
  /** A number; null: the newest version. */
  readonly b: string | null;
  /** Also compare the contents of texts. */
  readonly content: boolean;
}

/** Lists what differs from version `a` to version `b`, in the order of a walk. @throws ByrefError 'notFound', 'usage' */
export function diffTemplates(store: Store, request: DiffRequest): TemplateDifference[] {
  const [from, to] = sides(store, request);
  const [before, after] = [versionTree(store, from), versionTree(store, to)];
  return Array.from(diffVersions(store, from, to), (difference) => {
    const { kind, path } = difference;
    const shown = { kind, path: pathToText(path) };
    return request.content
      ? { ...shown, content: contentDiff(store, before, after, difference) }
      : shown;
  });
}

/** Returns the two versions: from `nginx`, `nginx 1`, `nginx 1 2`, or `nginx@1 other@2`. */
function sides(store: Store, { name, a, b }: DiffRequest): [string, string] {
  if (a !== null && b === null && !/^\d+$/.test(a)) return [name, a];
  const { template } = store.catalog.resolve(name);
  return [
    `${template.name}@${a ?? template.current}`,
    `${template.name}@${b ?? store.catalog.newest(template).number}`,
  ];
}
