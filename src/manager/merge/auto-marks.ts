/**
 * Which packages somebody asked for. apt keeps only who came by itself, so a package that one template asked for and another got
 * as a dependency looks, key by key, as if only the other had anything to say.
 */
import { EXTENDED_STATES } from './dpkg.ts';
import type { KeyedRecord } from './format.ts';
import { fieldOf, splitStanzas } from './stanzas.ts';

/** Installed packages without the mark, as NAME:ARCHITECTURE. @param extendedStates null: no such file */
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
    // apt marks a package for all architectures as one of the machine's own.
    .map((stanza) => nameOf(stanza).replace(/:all$/, `:${native}`));
  return new Set(names.filter((name) => !auto.has(name)));
}

/** Takes the mark from those that somebody asked for, so that `apt autoremove` leaves them. @param names as of `askedFor` */
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
