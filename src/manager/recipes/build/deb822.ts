/** Reads the values in files of Debian's control format, deb822(5). */
import { fieldsOf, splitStanzas } from '../../merge/stanzas.ts';

/** Field names in lower case, and values with their lines joined by \n, in the order of the file. */
export type Stanza = ReadonlyMap<string, string>;

const FIELD = /^[^\s:#][^:\n]*:[ \t]*/;

/** Returns the stanzas. Comments, and invalid lines, which dpkg would refuse, are skipped. */
export function parseStanzas(content: string): Stanza[] {
  const lines = content.split('\n').filter((line) => !line.startsWith('#'));
  const text = lines.map((line) => (line.trim() === '' ? '' : line)).join('\n');
  return splitStanzas(text)
    .map(valuesOf)
    .filter(({ size }) => size > 0);
}

function valuesOf(stanza: string): Stanza {
  const values = new Map<string, string>();
  for (const { key, text } of fieldsOf(stanza)) {
    const [field] = FIELD.exec(text) ?? [];
    if (field === undefined) continue;
    const [first = '', ...more] = text.slice(field.length).split('\n');
    values.set(key, [first.trimEnd(), ...more].join('\n'));
  }
  return values;
}
