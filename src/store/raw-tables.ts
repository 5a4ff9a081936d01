/**
 * Hands out a store's tables to the few who work on rows themselves: whoever writes a version's rows, removes them, or
 * checks them (rows-are-the-stores in .dependency-cruiser.cjs). All others use the store's methods.
 */
import type { Tables } from './tables.ts';

const tablesOf = new WeakMap<object, Tables>();

/** Remembers the tables of a store. Called by the store itself. */
export function keepTables(store: object, tables: Tables): void {
  tablesOf.set(store, tables);
}

/** Returns the tables of a store. @throws Error for an object that is no store */
export function rawTables(store: object): Tables {
  const tables = tablesOf.get(store);
  if (tables === undefined) throw new Error('there are no tables of such a store');
  return tables;
}
