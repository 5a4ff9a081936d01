/** Formats of the files in which dpkg and apt keep track of packages. */
import type { KeyedFormat } from './format.ts';
import { joinLines, lineFormat, splitLines } from './lines.ts';
import { fieldOf, stanzaFormat } from './stanzas.ts';

/**
 * status(5) and available, by package. A package that is not `Multi-Arch: same` occurs once, of whatever
 * architecture: dpkg refuses to work with a status file that has it twice. Stanzas of two sides are never
 * mixed, since a version and its dependencies belong together.
 */
export const DPKG_STATUS = stanzaFormat({
  name: 'dpkg status',
  noun: 'package',
  unordered: true,
  keyOf: (stanza) => {
    const name = fieldOf(stanza, 'Package');
    if (name === null || fieldOf(stanza, 'Multi-Arch') !== 'same') return name;
    return `${name}:${fieldOf(stanza, 'Architecture')}`;
  },
});

/**
 * apt's marks of packages that came as dependencies. A package that either side asked for by name loses the
 * mark, so that `apt autoremove` keeps it.
 */
export const EXTENDED_STATES = stanzaFormat({
  name: 'apt extended_states',
  noun: 'package',
  unordered: true,
  keyOf: (stanza) => {
    const name = fieldOf(stanza, 'Package');
    return name && `${name}:${fieldOf(stanza, 'Architecture') ?? ''}`;
  },
  reconcile: (_key, { ours, theirs }) =>
    [ours, theirs].find((stanza) => fieldOf(stanza, 'Auto-Installed') === '0') ?? null,
});

/** dpkg's statoverride file: lines USER GROUP MODE PATH, by path. */
export const STATOVERRIDE = lineFormat({
  name: 'dpkg statoverride',
  noun: 'mode of',
  keyOf: (line) => /^\S+ \S+ \S+ (\/.*)$/s.exec(line)?.[1] ?? null,
});

/**
 * dpkg's diversions file, three lines each: the path, where it is diverted to, and by which package (":" for
 * none).
 */
export const DIVERSIONS: KeyedFormat = {
  name: 'dpkg diversions',
  parse: (content) => {
    const lines = splitLines(content);
    if (lines.length % 3 !== 0) return null;
    return Array.from({ length: lines.length / 3 }, (_, at) => {
      const text = joinLines(lines.slice(3 * at, 3 * at + 3));
      return { key: lines[3 * at]!, text };
    });
  },
  render: (records) => records.map(({ text }) => text).join(''),
  label: (key) => `diversion of ${key}`,
};
