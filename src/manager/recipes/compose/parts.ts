/** The templates of a stack, as a composition looks at them. */
import type { LowerTree } from '../../../driver/core/ports.ts';
import type { StackRef, Store } from '../../../store/store.ts';

/** One template of a stack. */
export interface StackPart {
  readonly ref: StackRef;
  /** NAME@VERSION. */
  readonly name: string;
  /** The tree of this template alone. */
  readonly lower: LowerTree;
}

/** One app of a stack. */
export interface AppPart extends StackPart {
  /** The tree that it was installed on; the stack's OS template if that is unknown. */
  readonly base: LowerTree;
  /** True if that is the very version in the stack: then the app alone requires no merge. */
  readonly fits: boolean;
}

/** A stack, taken apart. */
export interface StackParts {
  readonly os: StackPart;
  /** From the bottom up. */
  readonly apps: readonly AppPart[];
  readonly lower: LowerTree;
}

/** Takes a stack apart. @param plain without a composition */
export function partsOf(store: Store, plain: readonly StackRef[]): StackParts {
  const [os, ...apps] = plain.map((ref): StackPart => {
    return { ref, name: store.catalog.refName(ref), lower: store.lowerTree([ref]) };
  });
  const bases = apps.map(({ ref }) => store.catalog.version(ref.templateId, ref.version)?.base);
  return {
    os: os!,
    apps: apps.map((app, i) => {
      const base = bases[i] ?? null;
      const fits = base === null || base.version === os!.ref.version;
      return { ...app, base: fits ? os!.lower : store.lowerTree([base]), fits };
    }),
    lower: store.lowerTree(plain),
  };
}
