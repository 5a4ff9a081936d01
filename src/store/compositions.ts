/**
 * Compositions: what a stack shows instead of the files that its templates share, merged by key. Each is a template of byref's own with
 * one version, named by the versions that it is made for, and on top of them.
 */
import type { TemplateRow } from '../codec/store-rows.ts';
import type { Catalog } from './catalog.ts';
import { refKey, type StackRef } from './layer-cache.ts';

export const COMPOSITION_VERSION = 1;
const MARK = '=';

/** "=1@3 5@2": no template of people's has such a name. @param plain the OS template first, without a composition */
export const compositionName = (plain: readonly StackRef[]): string =>
  MARK + plain.map(refKey).join(' ');

/** The versions that a composition is made for. */
export const composedOf = ({ name }: Pick<TemplateRow, 'name'>): StackRef[] =>
  name
    .slice(MARK.length)
    .split(' ')
    .map((ref) => {
      const [templateId = 0, version = 0] = ref.split('@').map(Number);
      return { templateId, version };
    });

/** True for a name that says of which versions it is. */
export const isCompositionName = (name: string): boolean => /^=\d+@\d+( \d+@\d+)+$/.test(name);

export const isComposition = ({ composition }: StackRef): boolean => composition === true;

/** The versions that people put together. */
export const plainStack = (stack: readonly StackRef[]): StackRef[] =>
  stack.filter((ref) => !isComposition(ref));

/** The same versions, with what was made for them, if anything was. */
export function composedStack(catalog: Catalog, stack: readonly StackRef[]): StackRef[] {
  const plain = plainStack(stack);
  // An OS template alone shares nothing.
  if (plain.length < 2) return plain;
  const row = catalog.byName(compositionName(plain));
  if (row === null) return plain;
  return [...plain, { templateId: row.id, version: COMPOSITION_VERSION, composition: true }];
}
