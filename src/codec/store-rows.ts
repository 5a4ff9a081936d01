/** The rows of the store's control tables, with one encoder and one decoder each. See docs/internals/FORMAT.md. */
import { Damaged } from '../base/damaged.ts';
import type { Ino, Name } from '../base/ids.ts';
import { ByteWriter } from './byte-writer.ts';
import { Cursor } from './varint.ts';

/** The kinds of templates that users make. */
export type TemplateKind = 'os' | 'app';

/**
 * The kinds of template rows. A composition is a template of byref's own: what one stack shows instead of its
 * templates' shared files.
 */
export type RowKind = TemplateKind | 'composition';

/** One template, or one composition. */
export interface TemplateRow {
  readonly id: number;
  /** Letters, digits and . _ + -; unique in the store. A composition's says which stack it is for. */
  readonly name: string;
  readonly kind: RowKind;
  /** The version that envs see which follow this template. */
  readonly current: number;
  /** The highest version number ever given; that version may be removed (Catalog.newest). */
  readonly newest: number;
  /** Path patterns of the shared data path (src/manager/templates/shared-path.ts). */
  readonly sharedPatterns: readonly string[];
}

/** One immutable version of a template. Sizes are in bytes. */
export interface VersionRow {
  readonly number: number;
  readonly label: string;
  readonly note: string;
  /** When it was added, milliseconds since the epoch. */
  readonly dateMs: number;
  /** Number of names of anything but directories. */
  readonly files: number;
  readonly directories: number;
  /** Total size of its regular files, each inode counted once. */
  readonly bytes: number;
  /** The objects that no template had before: their number, and their total size. */
  readonly addedObjects: number;
  readonly addedBytes: number;
  /** True if it was imported but never was current. */
  readonly staged: boolean;
  /** The configuration that it was built from (src/manager/recipes/build/config.ts); of an import what its envs need, or ''. */
  readonly config: string;
  /** The version of an OS template that an app was installed on; else null. */
  readonly base: VersionBase | null;
}

/** A version of an OS template on which an app was installed. */
export interface VersionBase {
  readonly templateId: number;
  readonly version: number;
}

/** One template of an env's stack. */
export interface StackEntry {
  readonly templateId: number;
  /** The template's name when the env was made. */
  readonly template: string;
  /** The version that it is pinned to; null if it follows the template's current one. */
  readonly pinned: number | null;
  /** If it follows: the version that it tries out before the others, and the patch that made it do so. */
  readonly canary: Canary | null;
}

/** A version that an env tries out, and the patch that made it do so. */
export interface Canary {
  readonly version: number;
  readonly patch: number;
}

/** One env. */
export interface EnvRow {
  /** Never used again, not even after the env is destroyed. */
  readonly id: number;
  readonly name: string;
  /** Bottom first: the OS template, then the apps. */
  readonly stack: readonly StackEntry[];
  readonly createdMs: number;
  /** Which driver process serves it. */
  readonly shard: number;
}

/** The store's knowledge of one object. */
export interface ObjectRow {
  /** Its size in bytes, and its blocks of 512 bytes on the store's file system. */
  readonly size: number;
  readonly blocks: number;
  /** How many link records name it. */
  readonly refs: number;
}

/** The place of a directory. There is one row per directory path, for all templates. */
export interface DirName {
  readonly parent: Ino | 0;
  readonly name: Name | '';
}

/** The names of a template's file: one, or several if it has hard links. */
export interface InodeNames {
  readonly template: number;
  readonly names: readonly { readonly dir: Ino; readonly name: Name }[];
}

const ROW_VERSION = 1;
/** Version rows have a configuration since 2; a row without one is still written as 1. */
const BUILT_VERSION = 2;
/** Version rows have a base since 3; a row without one is still written as before. */
const BASED_VERSION = 3;
/** Entries of an env's stack have a canary since 2. */
const ENV_VERSION = 2;
/** Indexed by the byte that encodes the kind. */
const KINDS: readonly RowKind[] = ['os', 'app', 'composition'];

const writer = (version = ROW_VERSION): ByteWriter => new ByteWriter().u8(version);

function reader(buf: Buffer, newest = ROW_VERSION): Cursor {
  const [version = 0] = buf;
  if (version < ROW_VERSION || version > newest) {
    throw new Damaged(`store row of version ${version}: this byref reads version ${newest}`);
  }
  return new Cursor(buf, 1);
}

const readText = (from: Cursor): string => from.utf8(from.varint());

/** Encodes a row of `templates`. */
export function encodeTemplate(row: TemplateRow): Buffer {
  const to = writer()
    .varint(row.id)
    .text(row.name)
    .u8(KINDS.indexOf(row.kind))
    .varint(row.current)
    .varint(row.newest)
    .varint(row.sharedPatterns.length);
  for (const pattern of row.sharedPatterns) to.text(pattern);
  return to.take();
}

/** Decodes a row of `templates`. @throws Damaged for a row of a newer version, or one that is too short */
export function decodeTemplate(buf: Buffer): TemplateRow {
  const from = reader(buf);
  return {
    id: from.varint(),
    name: readText(from),
    kind: KINDS[from.u8()] ?? 'app',
    current: from.varint(),
    newest: from.varint(),
    sharedPatterns: Array.from({ length: from.count() }, () => readText(from)),
  };
}

/** Encodes a row of `versions`, in the oldest layout that can hold it. */
export function encodeVersion(row: VersionRow): Buffer {
  const to = writer(versionOf(row))
    .varint(row.number)
    .text(row.label)
    .text(row.note)
    .signed(row.dateMs)
    .varint(row.files)
    .varint(row.directories)
    .varint(row.bytes)
    .varint(row.addedObjects)
    .varint(row.addedBytes)
    .u8(row.staged ? 1 : 0);
  if (row.config !== '' || row.base !== null) to.text(row.config);
  if (row.base !== null) to.varint(row.base.templateId).varint(row.base.version);
  return to.take();
}

const versionOf = ({ config, base }: VersionRow): number => {
  if (base !== null) return BASED_VERSION;
  return config === '' ? ROW_VERSION : BUILT_VERSION;
};

/** Decodes a row of `versions`, of any layout so far. @throws as decodeTemplate */
export function decodeVersion(buf: Buffer): VersionRow {
  const from = reader(buf, BASED_VERSION);
  const [written = 0] = buf;
  return {
    number: from.varint(),
    label: readText(from),
    note: readText(from),
    dateMs: from.signed(),
    files: from.varint(),
    directories: from.varint(),
    bytes: from.varint(),
    addedObjects: from.varint(),
    addedBytes: from.varint(),
    staged: from.u8() === 1,
    config: written >= BUILT_VERSION ? readText(from) : '',
    base: written >= BASED_VERSION ? { templateId: from.varint(), version: from.varint() } : null,
  };
}

/** Encodes a row of `envs`. */
export function encodeEnv(row: EnvRow): Buffer {
  const to = writer(ENV_VERSION)
    .varint(row.id)
    .text(row.name)
    .signed(row.createdMs)
    .varint(row.shard)
    .varint(row.stack.length);
  // Versions and patches count from 1, so 0 stands for "follows current" and for "no canary".
  for (const { templateId, template, pinned, canary } of row.stack) {
    to.varint(templateId)
      .text(template)
      .varint(pinned ?? 0);
    to.varint(canary?.version ?? 0).varint(canary?.patch ?? 0);
  }
  return to.take();
}

/** Decodes a row of `envs`, of any layout so far. @throws as decodeTemplate */
export function decodeEnv(buf: Buffer): EnvRow {
  const from = reader(buf, ENV_VERSION);
  const hasCanary = buf[0] === ENV_VERSION;
  return {
    id: from.varint(),
    name: readText(from),
    createdMs: from.signed(),
    shard: from.varint(),
    stack: Array.from({ length: from.count() }, () => ({
      templateId: from.varint(),
      template: readText(from),
      pinned: from.varint() || null,
      canary: hasCanary ? readCanary(from) : null,
    })),
  };
}

function readCanary(from: Cursor): Canary | null {
  const canary = { version: from.varint(), patch: from.varint() };
  return canary.version === 0 ? null : canary;
}

/** Encodes a row of `objects`. */
export function encodeObject(row: ObjectRow): Buffer {
  return writer().varint(row.size).varint(row.blocks).varint(row.refs).take();
}

/** Decodes a row of `objects`. @throws as decodeTemplate */
export function decodeObject(buf: Buffer): ObjectRow {
  const from = reader(buf);
  return { size: from.varint(), blocks: from.varint(), refs: from.varint() };
}

/** Encodes a row of `dirNames`. */
export function encodeDirName(row: DirName): Buffer {
  return writer().varint(row.parent).latin1(row.name).take();
}

/** Decodes a row of `dirNames`. @throws as decodeTemplate */
export function decodeDirName(buf: Buffer): DirName {
  const from = reader(buf);
  return { parent: from.varint() as Ino | 0, name: from.latin1(from.varint()) as Name | '' };
}

/** Encodes a row of `inodes`. */
export function encodeInodeNames(row: InodeNames): Buffer {
  const to = writer().varint(row.template).varint(row.names.length);
  for (const { dir, name } of row.names) to.varint(dir).latin1(name);
  return to.take();
}

/** Decodes a row of `inodes`. @throws as decodeTemplate */
export function decodeInodeNames(buf: Buffer): InodeNames {
  const from = reader(buf);
  return {
    template: from.varint(),
    names: Array.from({ length: from.count() }, () => ({
      dir: from.varint() as Ino,
      name: from.latin1(from.varint()) as Name,
    })),
  };
}

/**
 * Encodes a number by itself: counters and settings in `meta`, inos in `dirs`, the first versions in
 * `templateDirs`.
 */
export const encodeNumber = (value: number): Buffer => writer().varint(value).take();
/** Decodes such a number. @throws as decodeTemplate */
export const decodeNumber = (buf: Buffer): number => reader(buf).varint();
