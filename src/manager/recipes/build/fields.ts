/** Reads a map of fields from YAML, and reports every mistake with its line. */
import {
  type Document,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type YAMLMap,
} from 'yaml';
import { ByrefError } from '../../../base/error.ts';

/** The values that a field may have. */
export interface Kind<T> {
  readonly what: string;
  /** Returns the value; undefined if it is not of this kind. */
  read(value: unknown): T | undefined;
  /** For a list: the kind of its items. */
  readonly item?: Kind<unknown>;
  /** For a map: its fields, and which of them are required. */
  readonly fields?: Kinds;
  readonly required?: readonly string[];
}

/** A text that matches an expression. @param what describes it, for messages */
export const text = (what: string, form: RegExp): Kind<string> => ({
  what,
  read: (value) => (typeof value === 'string' && form.test(value) ? value : undefined),
});

/** One of a few words. */
export const oneOf = <T extends string>(...words: readonly T[]): Kind<T> => ({
  what: words.length === 2 ? words.join(' or ') : `one of ${words.join(', ')}`,
  read: (value) => words.find((word) => word === value),
});

/** A value that is true or false. */
export const yesOrNo: Kind<boolean> = {
  what: 'true or false',
  read: (value) => (typeof value === 'boolean' ? value : undefined),
};

/** A list of values of one kind. */
export const listOf = <T>(kind: Kind<T>): Kind<readonly T[]> => ({
  what: `a list, each ${kind.what}`,
  item: kind,
  read(value) {
    if (!Array.isArray(value)) return undefined;
    const all = value.map((each) => kind.read(each));
    return all.some((each) => each === undefined) ? undefined : (all as T[]);
  },
});

/** A value or a list of them; it is read as a list in either case. */
export const oneOrMore = <T>(kind: Kind<T>): Kind<readonly T[]> => ({
  ...listOf(kind),
  what: `${kind.what}, or a list of such`,
  read: (value) => listOf(kind).read(Array.isArray(value) ? value : [value]),
});

/** A map of fields. @param what such as "a source: repository, suites, components, keyring" */
export const mapOf = <K extends Kinds>(
  what: string,
  fields: K,
  required: readonly (keyof K & string)[],
): Kind<FieldsOf<K>> => ({
  what,
  fields,
  required,
  read(value) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    const given = Object.entries(value);
    const read = given.map(([name, each]) => [
      name,
      Object.hasOwn(fields, name) ? fields[name]!.read(each) : undefined,
    ]);
    const whole = required.every((name) => Object.hasOwn(value, name));
    if (!whole || read.some(([, each]) => each === undefined)) return undefined;
    return Object.fromEntries(read) as FieldsOf<K>;
  },
});

/** The kinds of a map's fields, by name. */
export type Kinds = Readonly<Record<string, Kind<unknown>>>;

type ValueOf<K> = K extends Kind<infer T> ? T : never;

/** The values of the fields that were given and are valid. */
export type FieldsOf<K extends Kinds> = { readonly [F in keyof K]?: ValueOf<K[F]> };

/** The file's description, for messages. */
export interface FieldsFile {
  readonly file: string;
  /** An example of its content, such as "name: debian-12". */
  readonly example: string;
  readonly hint: string;
}

const ERRORS_SHOWN = 10;

/** Reads one file, and collects mistakes in it. */
export class FieldsParser<K extends Kinds> {
  private readonly kinds: K;
  private readonly about: FieldsFile;
  private readonly lines = new LineCounter();
  private readonly document: Document.Parsed;
  private readonly mistakes: { readonly line: number; readonly text: string }[] = [];
  /** Where each field stands. */
  readonly at = new Map<string, number>();

  constructor(kinds: K, source: string, about: FieldsFile) {
    this.kinds = kinds;
    this.about = about;
    this.document = parseDocument(source, { lineCounter: this.lines, prettyErrors: false });
  }

  /**
   * Reads the fields. Mistakes in them are reported by refuseIfAny().
   * @throws ByrefError 'badInput' for what is not YAML
   */
  fields(): FieldsOf<K> {
    for (const { message, pos } of this.document.errors) this.mistake(pos[0], message);
    this.refuseIfAny();
    const map = this.document.contents;
    if (!isMap(map)) {
      this.mistake(0, `it is not a map of fields, as "${this.about.example}"`);
      return {};
    }
    const values: Record<string, unknown> = {};
    for (const { key, value } of map.items) {
      const name = isScalar(key) ? String(key.value) : '?';
      const start = offsetOf(key);
      const kind = Object.hasOwn(this.kinds, name) ? this.kinds[name] : undefined;
      if (kind === undefined) {
        const known = Object.keys(this.kinds).join(', ');
        this.mistake(start, `${name}: no such field; there are ${known}`);
        continue;
      }
      this.at.set(name, start);
      const plain = plainOf(value);
      values[name] = kind.read(plain);
      if (values[name] === undefined) this.refuse(name, value ?? key, plain, kind);
    }
    return values as FieldsOf<K>;
  }

  mistake(offset: number, message: string): void {
    this.mistakes.push({ line: this.lines.linePos(offset).line || 1, text: message });
  }

  /**
   * Reports mistakes, if there are any.
   * @throws ByrefError 'badInput' with a line for each: FILE:LINE: FIELD: what is wrong
   */
  refuseIfAny(): void {
    const [first] = this.mistakes;
    if (first === undefined) return;
    const { file, hint } = this.about;
    const shown = this.mistakes.toSorted((a, b) => a.line - b.line).slice(0, ERRORS_SHOWN);
    const message = shown.map((each) => `${file}:${each.line}: ${each.text}`);
    throw new ByrefError('badInput', message, hint);
  }

  /** Notes a mistake; in a list each wrong item, in a map each wrong field by itself. */
  private refuse(name: string, node: unknown, plain: unknown, kind: Kind<unknown>): void {
    const { what, item, fields } = kind;
    if (item !== undefined && isSeq(node)) {
      for (const each of node.items) {
        const value = plainOf(each);
        if (item.read(value) === undefined) this.refuse(name, each, value, item);
      }
      return;
    }
    if (fields !== undefined && isMap(node)) {
      this.refuseFields(name, node, kind);
      return;
    }
    const shown = plain === undefined || plain === null ? 'this' : JSON.stringify(plain);
    this.mistake(offsetOf(node), `${name}: ${shown} is not ${what}`);
  }

  private refuseFields(
    name: string,
    map: YAMLMap,
    { fields = {}, required = [] }: Kind<unknown>,
  ): void {
    const given = new Set<string>();
    for (const { key, value } of map.items) {
      const field = isScalar(key) ? String(key.value) : '?';
      const kind = Object.hasOwn(fields, field) ? fields[field] : undefined;
      given.add(field);
      if (kind === undefined) {
        const known = Object.keys(fields).join(', ');
        this.mistake(offsetOf(key), `${name}: ${field}: no such field; there are ${known}`);
      } else if (kind.read(plainOf(value)) === undefined) {
        this.refuse(`${name}: ${field}`, value ?? key, plainOf(value), kind);
      }
    }
    for (const field of required.filter((each) => !given.has(each))) {
      this.mistake(offsetOf(map), `${name}: ${field}: is missing: ${fields[field]!.what}`);
    }
  }
}

const plainOf = (node: unknown): unknown =>
  isScalar(node) || isSeq(node) || isMap(node) ? node.toJSON() : undefined;

function offsetOf(node: unknown): number {
  const range = (node as { range?: readonly number[] | null } | null)?.range;
  return range?.[0] ?? 0;
}
