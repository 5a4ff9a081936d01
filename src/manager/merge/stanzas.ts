/**
 * Parses deb822(5): stanzas of fields, separated by empty lines. All texts keep their bytes, since what is merged is
 * written again; recipes/build/deb822.ts reads values.
 */
import type { KeyedFormat, KeyedRecord, Reconcile } from './format.ts';
import { splitLines } from './lines.ts';

/** The properties of a format that stanzaFormat() makes. */
export interface StanzaFormat {
  readonly name: string;
  readonly noun: string;
  /** Returns a stanza's key; null if the stanza is its own key. */
  readonly keyOf: (stanza: string) => string | null;
  readonly reconcile?: Reconcile;
  readonly unordered?: true;
}

/** Makes the format of a file of stanzas. */
export function stanzaFormat(options: StanzaFormat): KeyedFormat {
  const { name, noun, keyOf, reconcile, unordered } = options;
  const record = (text: string): KeyedRecord => {
    const key = keyOf(text);
    return { key: key === null ? `=${text}` : `:${key}`, text };
  };
  return {
    name,
    parse: (content) => splitStanzas(content).map(record),
    // dpkg, apt and debconf all end each stanza, also the last, with an empty line.
    render: (records) => records.map(({ text }) => `${text}\n\n`).join(''),
    label: (key) =>
      key.startsWith(':') ? `${noun} ${key.slice(1)}` : `stanza ${splitLines(key.slice(1))[0]}`,
    ...(reconcile && { reconcile: (key, sides) => reconcile(key.slice(1), sides) }),
    ...(unordered && { unordered }),
  };
}

/** Returns the stanzas without the empty lines between them. */
export function splitStanzas(content: string): string[] {
  const stanzas: string[] = [];
  let lines: string[] = [];
  const end = (): void => {
    if (lines.length > 0) stanzas.push(lines.join('\n'));
    lines = [];
  };
  for (const line of splitLines(content)) {
    if (/^[ \t]*$/.test(line)) end();
    else lines.push(line);
  }
  end();
  return stanzas;
}

/** Returns the first line of a field's value; null if the stanza lacks the field. @param field in any case */
export function fieldOf(stanza: string, field: string): string | null {
  const prefix = `${field.toLowerCase()}:`;
  for (const line of splitLines(stanza)) {
    if (line.slice(0, prefix.length).toLowerCase() === prefix) {
      return line.slice(prefix.length).trim();
    }
  }
  return null;
}

/**
 * Returns the fields by their names in lower case, each with its continuation lines; other lines are fields of
 * their own.
 */
export function fieldsOf(stanza: string): KeyedRecord[] {
  const fields: KeyedRecord[] = [];
  for (const line of splitLines(stanza)) {
    const last = fields.at(-1);
    if (/^[ \t]/.test(line) && last) {
      fields[fields.length - 1] = { key: last.key, text: `${last.text}\n${line}` };
    } else {
      fields.push({ key: /^[^\s:#][^:]*/.exec(line)?.[0].toLowerCase() ?? line, text: line });
    }
  }
  return fields;
}
