/** Parses the YAML file that a template is built from, and reports every mistake with its line. */
import path from 'node:path';
import { stringify } from 'yaml';
import type { TemplateKind } from '../../../codec/store-rows.ts';
import { isName } from '../../../store/names.ts';
import { isVariable } from '../../sandbox/given.ts';
import {
  type FieldsOf,
  FieldsParser,
  type Kind,
  listOf,
  mapOf,
  oneOf,
  oneOrMore,
  text,
  yesOrNo,
} from './fields.ts';
import { NEEDS, type Needs } from './needs.ts';

/** Another repository, or more suites of the first one. */
export interface SourceConfig {
  /** Null: the one that `suite` is of. */
  readonly repository: string | null;
  readonly suites: readonly string[];
  readonly components: readonly string[];
  /** An absolute path; null for the keys that the machine's apt trusts. */
  readonly keyring: string | null;
}

/** An entry of apt_preferences(5): decides which version of a package is preferred. */
export interface Pin {
  /** Names, or patterns of them. */
  readonly packages: readonly string[];
  /** For instance "release a=bookworm-backports" or "version 1.2.*". */
  readonly pin: string;
  readonly priority: number;
}

/**
 * A configuration for a Debian repository. If `repository` is null, the machine's own apt sources of that suite
 * are used.
 */
export interface BuildConfig {
  readonly kind: TemplateKind;
  readonly name: string;
  /** For an app: the OS template that it is installed on. */
  readonly base: string | null;
  /** For an app '' unless it has a repository of its own. */
  readonly suite: string;
  readonly components: readonly string[];
  readonly repository: string | null;
  /** For an OS: include the suite's -updates and -security, where they exist. */
  readonly updates: boolean;
  /** Further sources, beside `repository` or the machine's own. */
  readonly sources: readonly SourceConfig[];
  readonly pins: readonly Pin[];
  /** dpkg's name of the architecture; null for the machine's. */
  readonly architecture: string | null;
  readonly variant: Variant;
  readonly packages: readonly string[];
  /** For an app: also install what its packages recommend. */
  readonly recommends: boolean;
  /** An absolute path; null for the keys that the machine's apt trusts. */
  readonly keyring: string | null;
  /** Commands for sh -c, run on the host with the new tree as "$1". */
  readonly hooks: readonly string[];
  /** Variables and files of the machine that its packages and hooks are given (manager/sandbox/given.ts). */
  readonly env: readonly string[];
  readonly binds: readonly string[];
  /** What envs of it need. */
  readonly needs: Needs | null;
  readonly label: string;
  readonly shared: readonly string[] | null;
}

/** mmdebstrap's variants: what is installed beside `packages`. */
export const VARIANTS = ['custom', 'essential', 'apt', 'minbase', 'standard'] as const;
/** One of mmdebstrap's variants. */
export type Variant = (typeof VARIANTS)[number];

/** A package as in deb-version(7) and apt-get(8): NAME, NAME=VERSION, NAME/SUITE, NAME:ARCHITECTURE. */
const PACKAGE = /^[a-z0-9][a-z0-9.+-]+(:[a-z0-9-]+)?([=/][A-Za-z0-9.+~:-]+)?$/;
const SUITE = /^[A-Za-z0-9][A-Za-z0-9./_-]*$/;
const COMPONENT = /^[A-Za-z0-9][A-Za-z0-9./_-]*$/;
const ARCHITECTURE = /^[a-z0-9][a-z0-9-]*$/;
/** Names as in apt_preferences(5), or globs, or expressions between slashes. */
const PINNED = /^[^\s,][^\s]*$/;
const PIN = /^(?:release|origin|version)\s+\S[^\n]*$/;
/** apt stores a priority in a 16-bit number. */
const PRIORITY_MAX = 32_767;
const REPOSITORY = /^(https?|file|copy):\/\/?\S+$/;

const nameOf = (what: string): Kind<string> => ({
  what,
  read: (value) => (typeof value === 'string' && isName(value) ? value : undefined),
});

const suiteKind = text('a suite, such as bookworm', SUITE);
const componentsKind = listOf(text('a component, such as main', COMPONENT));
const repositoryKind = text(
  'an address, such as https://HOST/debian or file:///srv/repository',
  REPOSITORY,
);
const keyringKind = text('the path of a keyring', /./);

const sourceKind = mapOf(
  'a source: a map of repository, suites, components, keyring',
  {
    repository: repositoryKind,
    suites: oneOrMore(suiteKind),
    components: componentsKind,
    keyring: keyringKind,
  },
  ['suites'],
);

const priorityKind: Kind<number> = {
  what: 'a whole number, as apt_preferences(5) has it',
  read: (value) =>
    typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= PRIORITY_MAX
      ? value
      : undefined,
};

const pinKind = mapOf(
  'a pin: a map of packages, pin, priority',
  {
    packages: oneOrMore(text('a name of a package, or a pattern of names', PINNED)),
    pin: text('a pin, such as release a=bookworm-backports', PIN),
    priority: priorityKind,
  },
  ['packages', 'pin', 'priority'],
);

/** A variable, as on the command line. */
export const VARIABLE: Kind<string> = {
  what: 'a variable: NAME or NAME=VALUE',
  read: (value) => (typeof value === 'string' && isVariable(value) ? value : undefined),
};
/** A file or directory to bind, as on the command line. */
export const BIND = text('an absolute path, or two as SOURCE:PLACE', /^\/[^:\n]*(?::\/[^:\n]+)?$/);

const FIELDS = {
  kind: oneOf('os', 'app'),
  name: nameOf('a name of letters, digits and . _ + -'),
  base: nameOf('the name of an OS template'),
  suite: suiteKind,
  components: componentsKind,
  repository: repositoryKind,
  updates: yesOrNo,
  sources: listOf(sourceKind),
  pins: listOf(pinKind),
  architecture: text('an architecture, such as amd64', ARCHITECTURE),
  variant: oneOf(...VARIANTS),
  packages: listOf(text('a package: NAME, NAME=VERSION or NAME/SUITE', PACKAGE)),
  recommends: yesOrNo,
  keyring: keyringKind,
  hooks: listOf(text('a shell command', /\S/)),
  env: listOf(VARIABLE),
  binds: listOf(BIND),
  needs: NEEDS,
  label: text('a text', /^.{0,100}$/),
  shared: listOf(text('a path pattern that begins with /', /^\//)),
} as const;

type Field = keyof typeof FIELDS;
type Fields = FieldsOf<typeof FIELDS>;

/** Fields that a kind must not have (REFUSED), or must have (REQUIRED). */
const REFUSED: Readonly<Record<TemplateKind, readonly Field[]>> = {
  os: ['base', 'recommends'],
  app: ['architecture', 'variant', 'updates'],
};
const REQUIRED: Readonly<Record<TemplateKind, readonly Field[]>> = {
  os: ['name', 'suite'],
  app: ['name', 'base', 'packages'],
};

/**
 * Parses a configuration.
 * @param source the file's content
 * @param file its path: for messages, and for relative paths in it
 * @throws ByrefError 'badInput' with a line for each mistake: FILE:LINE: FIELD: what is wrong
 */
export function parseConfig(source: string, file: string): BuildConfig {
  return new ConfigParser(source, file).parse();
}

/** Returns a text that parses to the same configuration, wherever it is: a version keeps it. */
export function configText(config: BuildConfig): string {
  const refused: readonly string[] = REFUSED[config.kind];
  const sourceless = config.kind === 'app' && config.repository === null;
  const sources = config.sources.map(({ repository, suites, components, keyring }) => ({
    ...(repository === null ? {} : { repository }),
    ...{ suites, components },
    ...(keyring === null ? {} : { keyring }),
  }));
  const given = Object.entries({ ...config, sources }).filter(
    ([field, value]) =>
      value !== null &&
      value !== '' &&
      !refused.includes(field) &&
      !isDefault(field, value) &&
      !(sourceless && field === 'components'),
  );
  return stringify(Object.fromEntries(given));
}

/**
 * Leaves out later additions to the format when they have their default, so that texts without them stay the
 * same.
 */
const isDefault = (field: string, value: unknown): boolean =>
  (field === 'updates' && value === true) ||
  (['sources', 'pins', 'env', 'binds'].includes(field) &&
    (value as readonly unknown[]).length === 0);

class ConfigParser {
  private readonly file: string;
  private readonly parser: FieldsParser<typeof FIELDS>;

  constructor(source: string, file: string) {
    this.file = file;
    const hint = 'See docs/reference/configuration.md, section "Build files".';
    this.parser = new FieldsParser(FIELDS, source, { file, example: 'name: debian-12', hint });
  }

  parse(): BuildConfig {
    const { parser } = this;
    const fields = parser.fields();
    const kind = fields.kind ?? 'os';
    for (const field of REFUSED[kind]) {
      if (!parser.at.has(field)) continue;
      const who = kind === 'os' ? 'an OS template has none' : 'an app has that of its base';
      parser.mistake(parser.at.get(field)!, `${field}: ${who}`);
    }
    for (const field of REQUIRED[kind]) {
      if (!parser.at.has(field)) parser.mistake(0, `${field}: is missing: ${FIELDS[field].what}`);
    }
    if (kind === 'app') this.refuseHalfSource(fields);
    parser.refuseIfAny();
    return this.config(kind, fields);
  }

  /** Refuses an app with a part of a source: it has no source of its own, or a complete one. */
  private refuseHalfSource(fields: Fields): void {
    const { parser } = this;
    const [repository, suite] = [parser.at.get('repository'), parser.at.get('suite')];
    if (repository !== undefined && suite === undefined) {
      parser.mistake(repository, 'repository: needs its suite, too');
    }
    if (repository !== undefined) return;
    for (const source of fields.sources ?? []) {
      if (source.repository !== undefined) continue;
      parser.mistake(
        parser.at.get('sources')!,
        'sources: repository: is missing: an app names each',
      );
    }
    for (const field of ['suite', 'components', 'keyring'] as const) {
      const at = parser.at.get(field);
      if (at !== undefined) parser.mistake(at, `${field}: is of a repository, and none is named`);
    }
  }

  private config(kind: TemplateKind, fields: Fields): BuildConfig {
    const keyring = (file: string | undefined): string | null =>
      file === undefined ? null : path.resolve(path.dirname(this.file), file);
    const sources = (fields.sources ?? []).map((source) => ({
      repository: source.repository ?? null,
      suites: source.suites ?? [],
      components: source.components ?? ['main'],
      keyring: keyring(source.keyring),
    }));
    const pins = (fields.pins ?? []).map(({ packages = [], pin = '', priority = 0 }) => ({
      ...{ packages, pin, priority },
    }));
    return {
      kind,
      name: fields.name ?? '',
      base: fields.base ?? null,
      suite: fields.suite ?? '',
      components: fields.components ?? ['main'],
      repository: fields.repository ?? null,
      updates: fields.updates ?? true,
      sources,
      pins,
      architecture: fields.architecture ?? null,
      variant: fields.variant ?? 'minbase',
      packages: fields.packages ?? [],
      recommends: fields.recommends ?? false,
      keyring: keyring(fields.keyring),
      hooks: fields.hooks ?? [],
      env: fields.env ?? [],
      binds: fields.binds ?? [],
      needs: fields.needs ?? null,
      label: fields.label ?? '',
      shared: fields.shared ?? null,
    };
  }
}
