/** The templates of a stack, as a composition looks at them. */
import { readFileSync } from 'node:fs';
import type { InodeRecord } from '../codec/inode-record.ts';
import type { Layers } from '../fs/ports.ts';
import type { StackRef, Store } from '../store/store.ts';
import { fileAt } from '../template/walk-version.ts';

export interface StackPart {
  readonly ref: StackRef;
  /** NAME@VERSION */
  readonly name: string;
  /** Of it alone. */
  readonly layers: Layers;
}

export interface AppPart extends StackPart {
  /** What it was installed on; the stack's OS template if nobody knows. */
  readonly base: Layers;
  /** That is the very version in the stack, so that nothing is to be merged for it alone. */
  readonly fits: boolean;
}

export interface StackParts {
  readonly os: StackPart;
  /** From the bottom up. */
  readonly apps: readonly AppPart[];
  readonly layers: Layers;
}

/** @param plain without a composition */
export function partsOf(store: Store, plain: readonly StackRef[]): StackParts {
  const [os, ...apps] = plain.map((ref): StackPart => {
    const name = `${store.catalog.byId(ref.templateId)?.name ?? '?'}@${ref.version}`;
    return { ref, name, layers: store.layers([ref]) };
  });
  const bases = apps.map(({ ref }) => store.catalog.version(ref.templateId, ref.version)?.base);
  return {
    os: os!,
    apps: apps.map((app, i) => {
      const base = bases[i] ?? null;
      const fits = base === null || base.version === os!.ref.version;
      return { ...app, base: fits ? os!.layers : store.layers([base]), fits };
    }),
    layers: store.layers(plain),
  };
}

/** A regular file's content as binary string; null if there is none. */
export function contentAt(store: Store, layers: Layers, path: string): string | null {
  const record = fileAt(layers, path);
  return record === null ? null : contentOf(store, record);
}

export const contentOf = (store: Store, { object }: Pick<InodeRecord, 'object'>): string =>
  object === '' ? '' : readFileSync(store.objects.path(object), 'latin1');
