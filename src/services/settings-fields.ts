/** Fields of YAML files that hold settings of envs. */
import { ByrefError } from '../base/error.ts';
import { NO_SETTINGS } from '../codec/env-settings.ts';
import { withSetting } from '../manager/envs/settings.ts';
import type { FieldsParser, Kind, Kinds } from '../manager/recipes/build/fields.ts';

/** Returns a kind: a map of names to texts, numbers or true and false, which are read as texts. */
const mapOfTexts = (what: string): Kind<Readonly<Record<string, string>>> => ({
  what,
  read(value) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    const given = Object.entries(value);
    const isPlain = ([, each]: [string, unknown]): boolean =>
      ['string', 'number', 'boolean'].includes(typeof each);
    if (!given.every(isPlain)) return undefined;
    return Object.fromEntries(given.map(([name, each]) => [name, String(each)]));
  },
});

/** Settings, by key. */
export const SETTINGS = mapOfTexts('a map of keys of byref set, as limits.memory: 512MiB');
/** Variables, by name. */
export const ENVIRONMENT = mapOfTexts('a map of variables, as LANG: C.UTF-8');

/** Returns settings as KEY=VALUE. */
export const assignmentsOf = (settings: Readonly<Record<string, string>>): string[] =>
  Object.entries(settings).map(([key, value]) => `${key}=${value}`);

/** Notes a mistake for each setting that byref set would refuse. @param field where they stand */
export function refuseBadSettings<K extends Kinds>(
  parser: FieldsParser<K>,
  field: string,
  assignments: readonly string[],
): void {
  for (const assignment of assignments)
    refuseMistake(parser, field, () => withSetting(NO_SETTINGS, assignment));
}

/** Notes a mistake if something refuses what a field says. */
export function refuseMistake<K extends Kinds>(
  parser: FieldsParser<K>,
  field: string,
  read: () => unknown,
): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof ByrefError)) throw error;
    parser.mistake(parser.at.get(field) ?? 0, `${field}: ${error.lines.join(' ')}. ${error.hint}`);
  }
}
