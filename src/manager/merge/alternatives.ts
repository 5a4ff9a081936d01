/**
 * Parses and merges state files of update-alternatives(1), /var/lib/dpkg/alternatives/NAME:
 *
 *     auto | manual
 *     LINK
 *     SLAVE's name, SLAVE's link        two lines for each slave
 *                                       an empty line
 *     PATH, PRIORITY, a line for each slave (empty: none)
 *                                       an empty line
 */
import type { KeyedFormat, KeyedRecord } from './format.ts';
import { joinLines, splitLines } from './lines.ts';

/** A program that can be chosen. */
interface Choice {
  readonly path: string;
  readonly priority: number;
  /** By the slave's name; those without a target are not in it. */
  readonly slaves: ReadonlyMap<string, string>;
}

const CHOICE = 'choice ';

interface State {
  readonly mode: string;
  readonly link: string;
  /** Name -> link. */
  readonly slaves: ReadonlyMap<string, string>;
  readonly choices: readonly Choice[];
}

/** A symlink that an alternative needs. */
export interface AlternativeLink {
  readonly path: string;
  /** The symlink's target; null means that nothing may be at the path. */
  readonly target: string | null;
  /** A file without which update-alternatives does not make the link, such as a manual page that is not installed. */
  readonly needs: string | null;
}

/**
 * Returns the symlinks of an alternative in auto mode: they lead to the choice of the highest priority, or the
 * first of those. null if its links are to be left alone: it is in manual mode, has no choice, or has no valid
 * state file.
 * @param name the state file's name, such as "editor"
 */
export function alternativeLinks(name: string, content: string): AlternativeLink[] | null {
  const state = parseState(content);
  const [first, ...others] = state?.choices ?? [];
  if (!state || !first || state.mode !== 'auto') return null;
  const best = others.reduce((a, b) => (b.priority > a.priority ? b : a), first);
  const links = linksTo(name, state.link, best.path);
  for (const [slave, link] of state.slaves) {
    links.push(...linksTo(slave, link, best.slaves.get(slave) ?? null));
  }
  return links;
}

/**
 * Returns the paths of all symlinks of an alternative, whichever choice they lead to. @param name the state
 * file's name
 */
export function alternativePaths(name: string, content: string): string[] {
  const state = parseState(content);
  if (state === null) return [];
  const { link, slaves } = state;
  const middles = [name, ...slaves.keys()].map((each) => `/etc/alternatives/${each}`);
  return [link, ...slaves.values(), ...middles];
}

/** Returns the paths of programs that only one of two state files offers, or that they offer differently. */
export function changedChoices(was: string, is: string): string[] {
  const [before, after] = [was, is].map((content) => {
    const records = ALTERNATIVES.parse(content) ?? [];
    return new Map(
      records.filter(({ key }) => key.startsWith(CHOICE)).map(({ key, text }) => [key, text]),
    );
  });
  return [...new Set([...before!.keys(), ...after!.keys()])]
    .filter((key) => before!.get(key) !== after!.get(key))
    .map((key) => key.slice(CHOICE.length));
}

function linksTo(name: string, link: string, target: string | null): AlternativeLink[] {
  const middle = `/etc/alternatives/${name}`;
  return [
    { path: middle, target, needs: target },
    { path: link, target: target === null ? null : middle, needs: target },
  ];
}

function parseState(content: string): State | null {
  const lines = splitLines(content);
  let at = 0;
  const next = (): string => lines[at++] ?? '';
  const mode = next();
  const link = next();
  if (!/^(?:auto|manual)$/.test(mode) || !link.startsWith('/')) return null;
  const slaves = new Map<string, string>();
  for (let name = next(); name !== ''; name = next()) slaves.set(name, next());
  const choices: Choice[] = [];
  for (let path = next(); path !== ''; path = next()) {
    const priority = Number(next());
    const targets = [...slaves.keys()].map((slave) => [slave, next()] as const);
    if (!Number.isInteger(priority)) return null;
    choices.push({ path, priority, slaves: new Map(targets.filter(([, to]) => to !== '')) });
  }
  return at >= lines.length ? { mode, link, slaves, choices } : null;
}

/**
 * Returns a record for the mode, the link, each slave and each choice. A choice's text names its slaves, since
 * their order may differ.
 */
function recordsOf({ mode, link, slaves, choices }: State): KeyedRecord[] {
  return [
    { key: 'mode', text: mode },
    { key: 'link', text: link },
    ...[...slaves].map(([name, to]) => ({ key: `slave ${name}`, text: to })),
    ...choices.map((choice) => ({
      key: `${CHOICE}${choice.path}`,
      text: joinLines([String(choice.priority), ...sorted(choice.slaves).flat()]),
    })),
  ];
}

/** Renders records with choices and slaves sorted, as update-alternatives saves them. */
function render(records: readonly KeyedRecord[]): string {
  const texts = new Map(records.map(({ key, text }) => [key, text]));
  const named = (prefix: string): [string, string][] =>
    sorted(new Map([...texts].filter(([key]) => key.startsWith(prefix)))).map(([key, text]) => [
      key.slice(prefix.length),
      text,
    ]);
  const slaves = named('slave ');
  const choices = named(CHOICE).flatMap(([path, text]) => {
    const [priority = '', ...pairs] = splitLines(text);
    const targets = new Map<string, string>();
    for (let at = 0; at < pairs.length; at += 2) targets.set(pairs[at]!, pairs[at + 1]!);
    return [path, priority, ...slaves.map(([slave]) => targets.get(slave) ?? '')];
  });
  const head = [texts.get('mode') ?? 'auto', texts.get('link') ?? ''];
  return joinLines([...head, ...slaves.flat(), '', ...choices, '']);
}

function sorted(map: ReadonlyMap<string, string>): [string, string][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** The format of an alternative's state file. */
export const ALTERNATIVES: KeyedFormat = {
  name: 'alternatives',
  parse: (content) => {
    const state = parseState(content);
    return state && recordsOf(state);
  },
  render,
  label: (key) => key,
};
