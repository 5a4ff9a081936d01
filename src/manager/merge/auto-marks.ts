/**
 * Finds out which packages somebody asked for. apt only records which ones came as dependencies. So if one
 * template asked for a package that another got as a dependency, a merge by key sees only the other's mark.
 */
import { EXTENDED_STATES } from './dpkg.ts';
import type { KeyedRecord } from './format.ts';
import { fieldOf, splitStanzas } from './stanzas.ts';

/**
 * Returns the installed packages without apt's mark for dependencies, as NAME:ARCHITECTURE.
 * @param extendedStates null if there is no such file
 */
export function askedFor(status: string, extendedStates: string | null): Set<string> {
  const auto = new Set(
    splitStanzas(extendedStates ?? '')
      .filter(isAuto)
      .map(nameOf),
  );
  const packages = splitStanzas(status);
  const dpkg = packages.find((stanza) => fieldOf(stanza, 'Package') === 'dpkg');
  const native = (dpkg && fieldOf(dpkg, 'Architecture')) ?? 'all';
  const names = packages
    .filter((stanza) => fieldOf(stanza, 'Status')?.endsWith(' installed'))
    // apt marks an `all` package under the machine's own architecture.
    .map((stanza) => nameOf(stanza).replace(/:all$/, `:${native}`));
  return new Set(names.filter((name) => !auto.has(name)));
}

/**
 * Removes the mark from packages that somebody asked for, so that `apt autoremove` keeps them. @param names as
 * returned by `askedFor`
 */
export function withoutMarks(extendedStates: string, names: ReadonlySet<string>): string {
  const records: KeyedRecord[] = EXTENDED_STATES.parse(extendedStates) ?? [];
  const isWanted = ({ text }: KeyedRecord): boolean => isAuto(text) && names.has(nameOf(text));
  if (!records.some(isWanted)) return extendedStates;
  return EXTENDED_STATES.render(records.filter((record) => !isWanted(record)));
}

function isAuto(stanza: string): boolean {
  return fieldOf(stanza, 'Auto-Installed') === '1';
}

function nameOf(stanza: string): string {
  return `${fieldOf(stanza, 'Package') ?? ''}:${fieldOf(stanza, 'Architecture') ?? ''}`;
}
