/** The file of an env: what it is made of and what is set for it, as YAML. `byref create --from-config` reads it, and `byref info --config` writes it. */
import { readFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { ByrefError } from '../base/error.ts';
import { settingsShown } from '../manager/envs/settings.ts';
import { FieldsParser, listOf, text } from '../manager/recipes/build/fields.ts';
import type { EnvRow, Store } from '../store/store.ts';
import { profileSettings } from './profiles.ts';
import { assignmentsOf, ENVIRONMENT, refuseBadSettings, SETTINGS } from './settings-fields.ts';

/** The fields of an env's file. */
export interface EnvConfig {
  readonly name: string;
  /** NAME, or NAME@VERSION. */
  readonly os: string;
  readonly apps: readonly string[];
  readonly settings: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string>>;
  readonly ports: readonly string[];
}

/** What an env's file asks for. */
export interface EnvWanted {
  readonly name: string | null;
  readonly os: string | null;
  readonly apps: readonly string[];
  /** KEY=VALUE, in the order in which they count. */
  readonly settings: readonly string[];
}

const WORD = /^\S+$/;
const FIELDS = {
  name: text('a name', WORD),
  os: text('an OS template, as debian-12 or debian-12@3', WORD),
  apps: listOf(text('an app template', WORD)),
  profile: text('a profile, as small', WORD),
  settings: SETTINGS,
  environment: ENVIRONMENT,
  ports: listOf(text('a port, as "8080:80"', WORD)),
};

const VARIABLE = 'environment.';

/** Reads an env's file. @param file its path; - is the standard input @throws ByrefError 'badInput', 'notFound' for an unknown profile */
export function readEnvConfig(file: string): EnvWanted {
  const hint = 'See "Files of envs" in docs/reference/configuration.md.';
  const about = { file, example: 'os: debian-12', hint };
  const parser = new FieldsParser(FIELDS, textOf(file), about);
  const { name = null, os = null, apps = [], profile, ...fields } = parser.fields();
  const parts: Readonly<Record<string, readonly string[]>> = {
    settings: assignmentsOf(fields.settings ?? {}),
    environment: assignmentsOf(fields.environment ?? {}).map((each) => VARIABLE + each),
    ports: fields.ports === undefined ? [] : [`ports=${fields.ports.join(',')}`],
  };
  for (const [field, list] of Object.entries(parts)) refuseBadSettings(parser, field, list);
  parser.refuseIfAny();
  const first = profile === undefined ? [] : profileSettings(profile);
  return { name, os, apps, settings: [...first, ...Object.values(parts).flat()] };
}

function textOf(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (cause) {
    const message = `${file} can't be read: ${cause instanceof Error ? cause.message : String(cause)}`;
    const hint = 'Name a file such as byref info ENV --config writes.';
    throw new ByrefError('badInput', message, hint, { cause });
  }
}

/** Returns the file of an env, as values. */
export function envConfig(store: Store, row: EnvRow): EnvConfig {
  const [os = '', ...apps] = row.stack.map(({ template, pinned }) =>
    pinned === null ? template : `${template}@${pinned}`,
  );
  const settings = store.settings(row.id);
  const { environment, ports } = settings;
  const others = settingsShown({ ...settings, environment: {}, ports: [] });
  return { name: row.name, os, apps, settings: others, environment, ports };
}

/** Writes an env's file, without what is empty. */
export const envConfigText = (config: EnvConfig): string =>
  stringify(Object.fromEntries(Object.entries(config).filter(([, value]) => !isEmpty(value))));

const isEmpty = (value: unknown): boolean => Object.keys(Object(value) as object).length === 0;
