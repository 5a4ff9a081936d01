/** What a template is built from: a YAML file, with every mistake told by its line. */
import path from 'node:path';
import { type Document, isMap, isScalar, isSeq, LineCounter, parseDocument, stringify } from 'yaml';
import { ByrefError } from '../base/error.ts';
import type { TemplateKind } from '../codec/store-rows.ts';
import { isName } from '../store/names.ts';

/** Of a Debian repository: `repository` null means the machine's own apt sources of that suite. */
export interface BuildConfig {
  readonly kind: TemplateKind;
  readonly name: string;
  /** Of an app: the OS template that it is installed on. */
  readonly base: string | null;
  /** Of an app only with a repository of its own, else ''. */
  readonly suite: string;
  readonly components: readonly string[];
  readonly repository: string | null;
  /** As dpkg calls it; null: the machine's. */
  readonly architecture: string | null;
  readonly variant: Variant;
  readonly packages: readonly string[];
  /** Of an app: with what its packages recommend, too. */
  readonly recommends: boolean;
  /** An absolute path; null: the keys that the machine's apt trusts. */
  readonly keyring: string | null;
  /** For sh -c, on the host, with the new tree as "$1". */
  readonly hooks: readonly string[];
  readonly label: string;
  readonly shared: readonly string[] | null;
}

/** mmdebstrap's: what is installed beside `packages`. */
export const VARIANTS = ['custom', 'essential', 'apt', 'minbase', 'standard'] as const;
export type Variant = (typeof VARIANTS)[number];

/** deb-version(7) and apt-get(8): NAME, NAME=VERSION, NAME/SUITE, NAME:ARCHITECTURE. */
const PACKAGE = /^[a-z0-9][a-z0-9.+-]+(:[a-z0-9-]+)?([=/][A-Za-z0-9.+~:-]+)?$/;
const SUITE = /^[A-Za-z0-9][A-Za-z0-9./_-]*$/;
const COMPONENT = /^[A-Za-z0-9][A-Za-z0-9./_-]*$/;
const ARCHITECTURE = /^[a-z0-9][a-z0-9-]*$/;
const REPOSITORY = /^(https?|file|copy):\/\/?\S+$/;
const ERRORS_SHOWN = 10;

/** What a field may be, in words for the one who wrote it otherwise. */
interface Kind<T> {
  readonly what: string;
  /** Undefined if it is not such. */
  read(value: unknown): T | undefined;
  /** Of a list: what each of it is. */
  readonly item?: Kind<unknown>;
}

const text = (what: string, form: RegExp): Kind<string> => ({
  what,
  read: (value) => (typeof value === 'string' && form.test(value) ? value : undefined),
});

const nameOf = (what: string): Kind<string> => ({
  what,
  read: (value) => (typeof value === 'string' && isName(value) ? value : undefined),
});

const oneOf = <T extends string>(...words: readonly T[]): Kind<T> => ({
  what: words.length === 2 ? words.join(' or ') : `one of ${words.join(', ')}`,
  read: (value) => words.find((word) => word === value),
});

const yesOrNo: Kind<boolean> = {
  what: 'true or false',
  read: (value) => (typeof value === 'boolean' ? value : undefined),
};

const listOf = <T>(kind: Kind<T>): Kind<readonly T[]> => ({
  what: `a list, each ${kind.what}`,
  item: kind,
  read(value) {
    if (!Array.isArray(value)) return undefined;
    const all = value.map((each) => kind.read(each));
    return all.some((each) => each === undefined) ? undefined : (all as T[]);
  },
});

const FIELDS = {
  kind: oneOf('os', 'app'),
  name: nameOf('a name of letters, digits and . _ + -'),
  base: nameOf('the name of an OS template'),
  suite: text('a suite, such as bookworm', SUITE),
  components: listOf(text('a component, such as main', COMPONENT)),
  repository: text('an address, such as https://HOST/debian or file:///srv/repository', REPOSITORY),
  architecture: text('an architecture, such as amd64', ARCHITECTURE),
  variant: oneOf(...VARIANTS),
  packages: listOf(text('a package: NAME, NAME=VERSION or NAME/SUITE', PACKAGE)),
  recommends: yesOrNo,
  keyring: text('the path of a keyring', /./),
  hooks: listOf(text('a shell command', /\S/)),
  label: text('a text', /^.{0,100}$/),
  shared: listOf(text('a path pattern that begins with /', /^\//)),
} as const;

type Field = keyof typeof FIELDS;
type Fields = { readonly [F in Field]?: ReturnType<(typeof FIELDS)[F]['read']> };

/** Fields that one kind has not, or must have. */
const REFUSED: Readonly<Record<TemplateKind, readonly Field[]>> = {
  os: ['base', 'recommends'],
  app: ['architecture', 'variant'],
};
const REQUIRED: Readonly<Record<TemplateKind, readonly Field[]>> = {
  os: ['name', 'suite'],
  app: ['name', 'base', 'packages'],
};

/**
 * @param source the file's content
 * @param file its path: for messages, and for paths in it, which are relative to its directory
 * @throws ByrefError 'badInput' with a line for each mistake: FILE:LINE: FIELD: what is wrong
 */
export function parseConfig(source: string, file: string): BuildConfig {
  return new ConfigParser(source, file).parse();
}

/** A text that parses as the same, wherever it is: what a version keeps of how it was built. */
export function configText(config: BuildConfig): string {
  const refused: readonly string[] = REFUSED[config.kind];
  const sourceless = config.kind === 'app' && config.repository === null;
  const given = Object.entries(config).filter(
    ([field, value]) =>
      value !== null &&
      value !== '' &&
      !refused.includes(field) &&
      !(sourceless && field === 'components'),
  );
  return stringify(Object.fromEntries(given));
}

class ConfigParser {
  private readonly file: string;
  private readonly lines = new LineCounter();
  private readonly document: Document.Parsed;
  private readonly mistakes: { readonly line: number; readonly text: string }[] = [];
  /** Where each field stands. */
  private readonly at = new Map<string, number>();

  constructor(source: string, file: string) {
    this.file = file;
    this.document = parseDocument(source, { lineCounter: this.lines, prettyErrors: false });
  }

  parse(): BuildConfig {
    for (const { message, pos } of this.document.errors) this.mistake(pos[0], message);
    this.refuseIfAny();
    const fields = this.fields();
    const kind = fields.kind ?? 'os';
    for (const field of REFUSED[kind]) {
      if (!this.at.has(field)) continue;
      const who = kind === 'os' ? 'an OS template has none' : 'an app has that of its base';
      this.mistake(this.at.get(field)!, `${field}: ${who}`);
    }
    for (const field of REQUIRED[kind]) {
      if (!this.at.has(field)) this.mistake(0, `${field}: is missing: ${FIELDS[field].what}`);
    }
    if (kind === 'app') this.refuseHalfSource();
    this.refuseIfAny();
    return this.config(kind, fields);
  }

  /** An app has no source of its own, or a whole one. */
  private refuseHalfSource(): void {
    const [repository, suite] = [this.at.get('repository'), this.at.get('suite')];
    if (repository !== undefined && suite === undefined) {
      this.mistake(repository, 'repository: needs its suite, too');
    }
    if (repository !== undefined) return;
    for (const field of ['suite', 'components', 'keyring'] as const) {
      const at = this.at.get(field);
      if (at !== undefined) this.mistake(at, `${field}: is of a repository, and none is named`);
    }
  }

  private fields(): Fields {
    const map = this.document.contents;
    if (!isMap(map)) {
      this.mistake(0, 'it is not a map of fields, as "name: debian-12"');
      return {};
    }
    const values: Record<string, unknown> = {};
    for (const { key, value } of map.items) {
      const name = isScalar(key) ? String(key.value) : '?';
      const start = offsetOf(key);
      if (!Object.hasOwn(FIELDS, name)) {
        this.mistake(start, `${name}: no such field; there are ${Object.keys(FIELDS).join(', ')}`);
        continue;
      }
      this.at.set(name, start);
      const kind: Kind<unknown> = FIELDS[name as Field];
      const plain = isScalar(value) || isSeq(value) || isMap(value) ? value.toJSON() : undefined;
      values[name] = kind.read(plain);
      if (values[name] === undefined) this.refuse(name, value ?? key, plain, kind);
    }
    return values as Fields;
  }

  /** Of a list, each item that is wrong is told by itself. */
  private refuse(name: string, node: unknown, plain: unknown, { what, item }: Kind<unknown>): void {
    if (item !== undefined && isSeq(node)) {
      for (const each of node.items) {
        const value: unknown = isScalar(each) ? each.value : null;
        if (item.read(value) === undefined) this.refuse(name, each, value, item);
      }
      return;
    }
    const shown = plain === undefined || plain === null ? 'this' : JSON.stringify(plain);
    this.mistake(offsetOf(node), `${name}: ${shown} is not ${what}`);
  }

  private config(kind: TemplateKind, fields: Fields): BuildConfig {
    const { keyring = null } = fields;
    return {
      kind,
      name: fields.name ?? '',
      base: fields.base ?? null,
      suite: fields.suite ?? '',
      components: fields.components ?? ['main'],
      repository: fields.repository ?? null,
      architecture: fields.architecture ?? null,
      variant: fields.variant ?? 'minbase',
      packages: fields.packages ?? [],
      recommends: fields.recommends ?? false,
      keyring: keyring === null ? null : path.resolve(path.dirname(this.file), keyring),
      hooks: fields.hooks ?? [],
      label: fields.label ?? '',
      shared: fields.shared ?? null,
    };
  }

  private mistake(offset: number, message: string): void {
    this.mistakes.push({ line: this.lines.linePos(offset).line || 1, text: message });
  }

  private refuseIfAny(): void {
    const [first] = this.mistakes;
    if (first === undefined) return;
    const shown = this.mistakes.toSorted((a, b) => a.line - b.line).slice(0, ERRORS_SHOWN);
    const message = shown.map(({ line, text }) => `${this.file}:${line}: ${text}`).join('\n');
    throw new ByrefError('badInput', message, 'See the section on build in docs/CLI.md.');
  }
}

function offsetOf(node: unknown): number {
  const range = (node as { range?: readonly number[] | null } | null)?.range;
  return range?.[0] ?? 0;
}
