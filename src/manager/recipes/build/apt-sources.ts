/**
 * Reads the machine's own apt sources. They are used where a configuration names no repository, because this
 * machine can reach and trusts them.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../../base/error.ts';
import type { BuildConfig } from './config.ts';
import { parseStanzas, type Stanza } from './deb822.ts';

/** One entry of apt's sources (sources.list(5)). */
export interface AptSource {
  readonly uris: readonly string[];
  readonly suites: readonly string[];
  readonly components: readonly string[];
  readonly architectures: readonly string[];
  /** A keyring's path, or a key itself; '' for apt's trusted keys. */
  readonly signedBy: string;
  /** Other options, named as in a stanza of sources.list(5). */
  readonly others: Stanza;
}

const ETC = '/etc/apt';
/** Endings of the suites that Debian has beside each suite. */
export const UPDATES = ['-updates', '-security'] as const;
const PARTS = ['', ...UPDATES];
const ONE_LINE = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*(.*)$/;
const KNOWN = new Set([
  'types',
  'uris',
  'suites',
  'components',
  'architectures',
  'signed-by',
  'enabled',
]);

/**
 * Returns the machine's sources of a suite.
 * @param suite such as bookworm; its -updates and -security are included, its -backports are not
 * @param etc apt's directory
 */
export function machineSources(suite: string, etc = ETC): AptSource[] {
  const wanted = new Set(PARTS.map((part) => suite + part));
  return readSources(etc)
    .map((source) => ({ ...source, suites: source.suites.filter((each) => wanted.has(each)) }))
    .filter(({ suites }) => suites.length > 0);
}

/**
 * Returns sources for a suite of which the machine has none: those of its own release, changed to the suite.
 * The archives are the same; whether they have all parts of the suite is unknown.
 */
function siblingSources(suite: string, etc?: string): AptSource[] {
  const suites = readSources(etc ?? ETC).flatMap((source) => source.suites);
  const own = suites.find((each) => PARTS.some((part) => part && suites.includes(each + part)));
  if (own === undefined) return [];
  return machineSources(own, etc).map((source) => ({
    ...source,
    suites: source.suites.map((each) => suite + each.slice(own.length)),
  }));
}

/** Sources of a suite, and how certain it is that they exist. */
export interface FoundSources {
  readonly sources: readonly AptSource[];
  /** True for the machine's own sources of the suite; false for those of its own release, changed to the suite. */
  readonly isOwn: boolean;
}

/** Returns the sources of a suite, each with the wanted components. @throws ByrefError 'badInput' if none remains */
export function sourcesFor(
  { suite, components, name }: Pick<BuildConfig, 'suite' | 'components' | 'name'>,
  etc?: string,
): FoundSources {
  const own = machineSources(suite, etc);
  const isOwn = own.length > 0;
  const found = isOwn ? own : siblingSources(suite, etc);
  const sources = found
    .map((source) => ({
      ...source,
      components: source.components.filter((each) => components.includes(each)),
    }))
    // apt treats a stanza without components as an error.
    .filter((source) => source.components.length > 0);
  if (sources.length > 0) return { sources, isOwn };
  if (found.length === 0) {
    const message = `this machine's apt has no source of the suite ${suite}, and ${name} names no repository`;
    throw new ByrefError('badInput', message, 'Give "repository: ADDRESS", or add it to /etc/apt.');
  }
  const there = [...new Set(found.flatMap((source) => source.components))].sort().join(', ');
  const message = `this machine's apt sources of the suite ${suite} have none of the components that ${name} wants: ${components.join(', ')}`;
  const hint = `There are ${there || 'none'}: name some of them as components, or give "repository: ADDRESS".`;
  throw new ByrefError('badInput', message, hint);
}

function readSources(etc: string): AptSource[] {
  const parts = path.join(etc, 'sources.list.d');
  const names = existsSync(parts) ? readdirSync(parts).sort() : [];
  const files = [path.join(etc, 'sources.list'), ...names.map((name) => path.join(parts, name))];
  return files.filter(existsSync).flatMap((file) => {
    const content = readFileSync(file, 'utf8');
    if (file.endsWith('.sources')) return parseStanzas(content).flatMap(fromStanza);
    return file.endsWith('.list') ? content.split('\n').flatMap(fromLine) : [];
  });
}

function fromStanza(stanza: Stanza): AptSource[] {
  const words = (field: string): string[] => stanza.get(field)?.split(/\s+/).filter(Boolean) ?? [];
  if (!words('types').includes('deb') || stanza.get('enabled')?.trim() === 'no') return [];
  return [
    {
      uris: words('uris'),
      suites: words('suites'),
      components: words('components'),
      architectures: words('architectures'),
      signedBy: stanza.get('signed-by')?.trim() ?? '',
      others: new Map([...stanza].filter(([field]) => !KNOWN.has(field))),
    },
  ];
}

function fromLine(line: string): AptSource[] {
  const [, bracket = '', uri, suite, components = ''] =
    ONE_LINE.exec(line.replace(/#.*/, '').trim()) ?? [];
  if (uri === undefined || suite === undefined) return [];
  const options = new Map<string, string>();
  for (const option of bracket.split(/\s+/).filter(Boolean)) {
    const [key = '', value = ''] = option.split('=', 2);
    options.set(ONE_LINE_OPTIONS[key] ?? key, value.replaceAll(',', ' '));
  }
  const architectures = options.get('architectures')?.split(' ') ?? [];
  const signedBy = options.get('signed-by') ?? '';
  const others = new Map([...options].filter(([field]) => !KNOWN.has(field)));
  const words = components.split(/\s+/).filter(Boolean);
  return [{ uris: [uri], suites: [suite], components: words, architectures, signedBy, others }];
}

const ONE_LINE_OPTIONS: Readonly<Record<string, string>> = {
  arch: 'architectures',
  lang: 'languages',
  target: 'targets',
};

/** Returns the content of a .sources file for apt. */
export const sourcesText = (sources: readonly AptSource[]): string =>
  sources.map(stanzaText).join('\n');

function stanzaText(source: AptSource): string {
  const fields: [string, string][] = [
    ['Types', 'deb'],
    ['URIs', source.uris.join(' ')],
    ['Suites', source.suites.join(' ')],
    ['Components', source.components.join(' ')],
    ['Architectures', source.architectures.join(' ')],
    ['Signed-By', source.signedBy],
    ...source.others,
  ];
  const given = fields.filter(([, value]) => value !== '');
  return given.map(([field, value]) => `${field}: ${value}\n`).join('');
}

const ARMOR = 'PGP PUBLIC KEY BLOCK';
const ARMOR_WIDTH = 64;

/**
 * Returns a keyring, armored or not, as the value of Signed-By: apt accepts the key itself, with each line
 * behind a space.
 */
export function embeddedKey(keyring: Buffer): string {
  const text = keyring.toString('latin1');
  const lines = text.startsWith('-----BEGIN')
    ? text.trimEnd().split('\n')
    : [`-----BEGIN ${ARMOR}-----`, '', ...base64Lines(keyring), `-----END ${ARMOR}-----`];
  return lines.map((line) => `\n ${line.trimEnd() === '' ? '.' : line}`).join('');
}

function base64Lines(bytes: Buffer): string[] {
  return bytes.toString('base64').match(new RegExp(`.{1,${ARMOR_WIDTH}}`, 'g')) ?? [];
}
