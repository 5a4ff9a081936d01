import { findVerb, isGroup } from './verbs.ts';

/** A command line, split just far enough to know which verb's module to load. */
export interface ParsedArgv {
  /** For instance 'list' or 'template import'; '' if no verb was given. */
  readonly verb: string;
  /** All other words; options that stood before the verb come first. */
  readonly rest: readonly string[];
}

/** Global options that take a value, so that the value is not mistaken for the verb. */
const VALUE_OPTIONS: ReadonlySet<string> = new Set(['--root']);

/**
 * Finds the verb: the first word that is not an option. Options may stand before or after it. `byref help VERB`
 * is the same as `byref VERB --help`.
 */
export function parseArgv(words: readonly string[]): ParsedArgv {
  const at = firstWord(words);
  const word = words[at];
  if (word === undefined) return { verb: '', rest: words };
  const before = words.slice(0, at);
  const after = words.slice(at + 1);
  if (word === 'help') return parseArgv([...before, ...after, '--help']);
  const second = after[0];
  // A word may be a verb and a group: backup ENV FILE, and backup verify FILE.
  const isOfGroup = findVerb(word) === undefined || findVerb(`${word} ${second}`) !== undefined;
  if (isGroup(word) && isOfGroup && second !== undefined && !second.startsWith('-')) {
    return { verb: `${word} ${second}`, rest: [...before, ...after.slice(1)] };
  }
  return { verb: word, rest: [...before, ...after] };
}

function firstWord(words: readonly string[]): number {
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (VALUE_OPTIONS.has(word)) i++;
    else if (!word.startsWith('-')) return i;
  }
  return words.length;
}
