/** The file of an env: what it is made of and what is set for it, as YAML. `byref create --from-config` reads it, and `byref info --config` writes it. */
import { stringify } from 'yaml';
import { readGivenFile } from '../base/given-files.ts';
import type { EnvSettings } from '../codec/env-settings.ts';
import { sizedText, volumeOf } from '../manager/envs/place-settings.ts';
import { settingsShown } from '../manager/envs/settings.ts';
import { FieldsParser, listOf, text } from '../manager/recipes/build/fields.ts';
import type { EnvRow, Store } from '../store/store.ts';
import { profileSettings } from './profiles.ts';
import {
  assignmentsOf,
  ENVIRONMENT,
  refuseBadSettings,
  refuseMistake,
  SETTINGS,
} from './settings-fields.ts';
import { needsOfStack } from './template-needs.ts';

/** The fields of an env's file. */
export interface EnvConfig {
  readonly name: string;
  /** NAME, or NAME@VERSION. */
  readonly os: string;
  readonly apps: readonly string[];
  readonly settings: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string>>;
  readonly ports: readonly string[];
  /** PATH, or PATH:SIZE. */
  readonly volumes: readonly string[];
  /** HOST:PATH, or HOST:PATH:ro. */
  readonly binds: readonly string[];
  /** PATH, or PATH:SIZE. */
  readonly tmpfs: readonly string[];
  /** PATH, or PATH:r. */
  readonly devices: readonly string[];
  /** True: of what its templates need, it gets only what is said here. */
  readonly 'refuse-needs': boolean;
}

/** What an env's file asks for. */
export interface EnvWanted {
  readonly name: string | null;
  readonly os: string | null;
  readonly apps: readonly string[];
  /** KEY=VALUE, in the order in which they count. */
  readonly settings: readonly string[];
  /** PATH, or PATH:SIZE. */
  readonly volumes: readonly string[];
  /** null: all of it. */
  readonly refusedNeeds: readonly string[] | null;
}

const WORD = /^\S+$/;
const PLACE = /^\/[^,\n]*$/;
const FIELDS = {
  name: text('a name', WORD),
  os: text('an OS template, as debian-12 or debian-12@3', WORD),
  apps: listOf(text('an app template', WORD)),
  profile: text('a profile, as small', WORD),
  settings: SETTINGS,
  environment: ENVIRONMENT,
  ports: listOf(text('a port, as "8080:80"', WORD)),
  volumes: listOf(text('a volume, as /var/lib/postgresql or /srv:1GiB', PLACE)),
  binds: listOf(text('a bind, as /srv/www:/var/www:ro', PLACE)),
  tmpfs: listOf(text('a directory in memory, as /tmp:64MiB', PLACE)),
  'refuse-needs': {
    what: 'true, or a list of what its templates need',
    read: (value: unknown) =>
      typeof value === 'boolean' ? value : listOf(text('a need', WORD)).read(value),
  },
  devices: listOf(text('a device, as /dev/fuse or /dev/loop0:r', PLACE)),
};

/** Fields that are settings with a comma between their items. */
const LISTS = ['ports', 'binds', 'tmpfs', 'devices'] as const;

const VARIABLE = 'environment.';

/** Reads an env's file. @throws ByrefError 'badInput', 'notFound' for an unknown profile */
export function readEnvConfig(file: string): EnvWanted {
  const hint = 'See "Files of envs" in docs/reference/configuration.md.';
  const about = { file, example: 'os: debian-12', hint };
  const parser = new FieldsParser(FIELDS, readGivenFile(file, hint), about);
  const { name = null, os = null, apps = [], profile, ...fields } = parser.fields();
  const parts: Readonly<Record<string, readonly string[]>> = {
    settings: assignmentsOf(fields.settings ?? {}),
    environment: assignmentsOf(fields.environment ?? {}).map((each) => VARIABLE + each),
    ...Object.fromEntries(
      LISTS.map((field) => [field, fields[field] ? [`${field}=${fields[field].join(',')}`] : []]),
    ),
  };
  for (const [field, list] of Object.entries(parts)) refuseBadSettings(parser, field, list);
  const { volumes = [], 'refuse-needs': refuse = false } = fields;
  const refusedNeeds = refuse === true ? null : refuse === false ? [] : refuse;
  refuseMistake(parser, 'volumes', () => volumes.map(volumeOf));
  parser.refuseIfAny();
  const first = profile === undefined ? [] : profileSettings(profile);
  return {
    name,
    os,
    apps,
    settings: [...first, ...Object.values(parts).flat()],
    volumes,
    refusedNeeds,
  };
}

/** Returns the file of an env, as values. */
export function envConfig(store: Store, row: EnvRow): EnvConfig {
  const [os = '', ...apps] = row.stack.map(({ template, pinned }) =>
    pinned === null ? template : `${template}@${pinned}`,
  );
  const settings = store.settings(row.id);
  const lists = Object.fromEntries(LISTS.map((field) => [field, listOfSetting(settings, field)]));
  const others = Object.entries(settingsShown({ ...settings, environment: {} })).filter(
    ([key]) => !Object.hasOwn(lists, key),
  );
  return {
    name: row.name,
    os,
    apps,
    settings: Object.fromEntries(others),
    environment: settings.environment,
    ...(lists as Record<(typeof LISTS)[number], string[]>),
    volumes: settings.volumes.map(sizedText),
    // The file says it all.
    'refuse-needs': Object.keys(needsOfStack(store, store.plainStack(row))).length > 0,
  };
}

const listOfSetting = (settings: EnvSettings, key: string): string[] =>
  settingsShown(settings)[key]?.split(',') ?? [];

/** Writes an env's file, without what is empty. */
export const envConfigText = (config: EnvConfig): string =>
  stringify(Object.fromEntries(Object.entries(config).filter(([, value]) => !isEmpty(value))));

const isEmpty = (value: unknown): boolean =>
  value !== true && Object.keys(Object(value) as object).length === 0;
