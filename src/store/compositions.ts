/**
 * Names compositions and puts them on stacks. A composition holds what a stack shows instead of the files that
 * its templates share, merged by key. It is a template of byref's own with a single version, named after the
 * versions that it was made for, and lies on top of them.
 */
import type { TemplateRow } from '../codec/store-rows.ts';
import type { Catalog } from './catalog.ts';
import { refKey, type StackRef } from './tree-cache.ts';

/** The number of a composition's only version. */
export const COMPOSITION_VERSION = 1;
const MARK = '=';

/**
 * Returns the name of a stack's composition, such as "=1@3 5@2". No template of a user's can have such a name.
 * @param plain the OS template first, without a composition
 */
export const compositionName = (plain: readonly StackRef[]): string =>
  MARK + plain.map(refKey).join(' ');

/** Returns the versions that a composition was made for, read from its name. */
export const composedOf = ({ name }: Pick<TemplateRow, 'name'>): StackRef[] =>
  name
    .slice(MARK.length)
    .split(' ')
    .map((ref) => {
      const [templateId = 0, version = 0] = ref.split('@').map(Number);
      return { templateId, version };
    });

/** Returns true for a well-formed name of a composition. */
export const isCompositionName = (name: string): boolean => /^=\d+@\d+( \d+@\d+)+$/.test(name);

/** Returns true if this entry of a stack is its composition. */
export const isComposition = ({ composition }: StackRef): boolean => composition === true;

/** Returns the stack without its composition: only the templates that users put together. */
export const plainStack = (stack: readonly StackRef[]): StackRef[] =>
  stack.filter((ref) => !isComposition(ref));

/** Returns the same versions with their composition on top, if one was made. */
export function composedStack(catalog: Catalog, stack: readonly StackRef[]): StackRef[] {
  const plain = plainStack(stack);
  // An OS template alone shares nothing.
  if (plain.length < 2) return plain;
  const row = catalog.byName(compositionName(plain));
  if (row === null) return plain;
  return [...plain, { templateId: row.id, version: COMPOSITION_VERSION, composition: true }];
}
