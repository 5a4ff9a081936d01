/** Profiles: settings under a name, in files. byref has some; the administrator's own count more. */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../base/error.ts';
import { readGivenFile } from '../base/given-files.ts';
import { checkout } from '../base/program-files.ts';
import { FieldsParser, type Kind, text } from '../manager/recipes/build/fields.ts';
import { assignmentsOf, refuseBadSettings, SETTINGS } from './settings-fields.ts';

/** A profile. */
export interface Profile {
  readonly name: string;
  readonly description: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly file: string;
}

const OWN = process.env['BYREF_PROFILES'] ?? '/etc/byref/profiles';
const FILE = /^([\w.+-]+)[.]yaml$/;

const DESCRIPTION: Kind<string> = text('a line of text', /^.*$/);
const FIELDS = { description: DESCRIPTION, settings: SETTINGS };

/** Lists the profiles, by name. @throws ByrefError 'badInput' for a file with mistakes */
export const listProfiles = (): Profile[] =>
  [...profileFiles()].sort(([a], [b]) => a.localeCompare(b)).map((entry) => readProfile(...entry));

/** Returns what a profile sets, as KEY=VALUE. @throws ByrefError 'notFound', 'badInput' for mistakes in it */
export function profileSettings(name: string): string[] {
  const files = profileFiles();
  const file = files.get(name);
  if (file !== undefined) return assignmentsOf(readProfile(name, file).settings);
  const known = [...files.keys()].sort().join(', ');
  const hint = `Profiles are: ${known}. Your own are files in ${OWN}: byref profile list.`;
  throw new ByrefError('notFound', `there is no profile "${name}"`, hint);
}

function profileFiles(): Map<string, string> {
  const found = new Map<string, string>();
  for (const directory of [path.join(checkout(), 'profiles'), OWN]) {
    for (const entry of existsSync(directory) ? readdirSync(directory) : []) {
      const name = FILE.exec(entry)?.[1];
      if (name !== undefined) found.set(name, path.join(directory, entry));
    }
  }
  return found;
}

function readProfile(name: string, file: string): Profile {
  const hint = 'See "Profiles" in docs/reference/configuration.md.';
  const about = { file, example: 'settings: {limits.memory: 512MiB}', hint };
  const parser = new FieldsParser(FIELDS, readGivenFile(file, hint), about);
  const { description = '', settings = {} } = parser.fields();
  refuseBadSettings(parser, 'settings', assignmentsOf(settings));
  parser.refuseIfAny();
  return { name, description, settings, file };
}
