/** Parses Debian's control file format, deb822(5). */

/** Field names in lower case, and values with their lines joined by \n, in the order of the file. */
export type Stanza = ReadonlyMap<string, string>;

const FIELD = /^([^\s:#][^:]*):[ \t]*(.*)$/;

/** Returns the stanzas. Invalid lines, which dpkg would refuse, are skipped. */
export function parseStanzas(content: string): Stanza[] {
  const stanzas: Stanza[] = [];
  let current = new Map<string, string>();
  let last = '';
  const end = (): void => {
    if (current.size > 0) stanzas.push(current);
    current = new Map();
    last = '';
  };
  for (const line of content.split('\n')) {
    if (line.trim() === '') end();
    else if (/^[ \t]/.test(line)) {
      if (last !== '') current.set(last, `${current.get(last)}\n${line}`);
    } else if (!line.startsWith('#')) {
      const [, name = '', value = ''] = FIELD.exec(line) ?? [];
      last = name.toLowerCase();
      if (last !== '') current.set(last, value.trimEnd());
    }
  }
  end();
  return stanzas;
}
