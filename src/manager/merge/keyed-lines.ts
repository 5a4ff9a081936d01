/** Formats of small files whose lines have keys. */
import type { KeyedFormat, Sides } from './format.ts';
import { LINE_SET, lineFormat } from './lines.ts';
import { mergeItems } from './three-way.ts';

/** ucf's hashfile (HASH  PATH) and registry (PACKAGE \t PATH), by path. */
export const UCF = lineFormat({
  name: 'ucf',
  noun: 'configuration file',
  keyOf: (line) => /^\S+\s+(\/.*)$/s.exec(line)?.[1] ?? null,
});

/** locale.gen, by locale. A line with "# " before it is the same locale, not chosen. */
export const LOCALE_GEN = lineFormat({
  name: 'locale.gen',
  noun: 'locale',
  keyOf: (line) => /^(?:# ?)?(\S+ [A-Z]\S*)\s*$/.exec(line)?.[1] ?? null,
});

/** ca-certificates.conf, by certificate. A line with "!" before it is the same certificate, left out. */
export const CA_CERTIFICATES = lineFormat({
  name: 'ca-certificates.conf',
  noun: 'certificate',
  keyOf: (line) => /^!?([^#\s!].*)$/s.exec(line)?.[1] ?? null,
});

/** nsswitch.conf(5), by database; libnss-* packages add their service to one. */
export const NSSWITCH = lineFormat({
  name: 'nsswitch.conf',
  noun: 'database',
  keyOf: (line) => /^\s*([^#\s:]+)\s*:/.exec(line)?.[1] ?? null,
  reconcile: (_key, sides) => mergeServices(sides),
});

/**
 * Merges the services of a database. They are asked in order, and "[NOTFOUND=return]" refers to the one before
 * it: where there is such a word, only a person can decide.
 */
function mergeServices({ base, ours, theirs }: Sides): string | null {
  const services = (line: string): string[] =>
    line
      .replace(/^[^:]*:/, '')
      .split(/\s+/)
      .filter(Boolean);
  if (base === null || [base, ours, theirs].some((line) => /[[#]/.test(line))) return null;
  const merged = mergeItems(services(base), services(ours), services(theirs));
  return `${/^[^:]*:\s*/.exec(ours)![0]}${merged.join(' ')}`;
}

const CATALOG_END = '</catalog>';

/** XML catalogs as update-xmlcatalog(8) writes them: one entry per line, between the first lines and the end tag. */
export const XML_CATALOG: KeyedFormat = {
  ...LINE_SET,
  name: 'XML catalog',
  render: (records) => {
    const isEnd = ({ text }: { text: string }): boolean => text.trim() === CATALOG_END;
    return LINE_SET.render([...records.filter((r) => !isEnd(r)), ...records.filter(isEnd)]);
  },
};
