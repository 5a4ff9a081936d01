import { ByrefError } from '../base/error.ts';
import { VERSION } from '../base/version.ts';
import { nearest } from './nearest.ts';
import { output } from './output.ts';
import { printLines, printOwn } from './print.ts';
import { VERBS, type Verb } from './verbs.ts';

/** Prints all verbs, or those of one group: on stdout if help was asked for, else on stderr. */
export function printHelp(group: string, asked: boolean): void {
  const verbs = VERBS.filter((verb) => group === '' || verb.name.startsWith(`${group} `));
  const text = [
    `Usage: byref ${group === '' ? '' : `${group} `}COMMAND [OPTIONS]`,
    '',
    'Commands:',
    ...verbs.map(line),
    '',
    'Options of every command:',
    '  --root DIR  the root to work on (BYREF_ROOT; /var/lib/byref)',
    '  --json      print JSON with stable names',
    '  --help      what the command does, and its options',
    '',
  ].join('\n');
  printOwn(text, asked ? output().stdout : output().stderr);
}

const NAME_WIDTH = Math.max(...VERBS.map((verb) => title(verb).length));

const line = (verb: Verb): string => `  ${title(verb).padEnd(NAME_WIDTH)}  ${verb.summary}`;

function title(verb: Verb): string {
  return [verb.name, ...verb.aliases].join(', ');
}

/** Prints the version of byref. */
export function printVersion(): void {
  printLines(`byref ${VERSION}`);
}

/**
 * Returns the error for a verb that does not exist, with a guess at what was meant.
 * @param rest the words behind it, among which the second of a two-word verb may be
 */
export function unknownVerb(verb: string, rest: readonly string[] = []): ByrefError {
  const all = VERBS.flatMap(({ name, aliases }) => [name, ...aliases]);
  const second = rest.find((word) => !word.startsWith('-'));
  const two = second === undefined ? null : nearest(`${verb} ${second}`, all.filter(isOfTwo));
  const near = two ?? nearest(verb, [...all, ...new Set(all.filter(isOfTwo).map(firstWord))]);
  const hint = near === null ? 'See: byref --help' : `Did you mean: byref ${near}`;
  return new ByrefError('usage', `no such command: ${verb}`, hint);
}

const firstWord = (name: string): string => name.split(' ')[0] ?? name;
const isOfTwo = (name: string): boolean => name.includes(' ');
