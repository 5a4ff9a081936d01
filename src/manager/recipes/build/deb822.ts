/** Debian's control file format: deb822(5). */

/** Field names in lower case, values with their lines joined by \n, in the order of the file. */
export type Stanza = ReadonlyMap<string, string>;

const FIELD = /^([^\s:#][^:]*):[ \t]*(.*)$/;

/** Lines that are none (which dpkg would refuse) are passed over. */
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
