/** Makes a directory, an archive or an OCI image a version of a template: `byref template import`. */
import { createReadStream, createWriteStream, mkdtempSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ByrefError } from '../../base/error.ts';
import { TEMPORARY_DIR } from '../../base/temporary-dir.ts';
import type { TemplateKind, TemplateRow } from '../../codec/store-rows.ts';
import { checkName } from '../../store/names.ts';
import type { ObjectWriter } from '../../store/object-writer.ts';
import type { Store } from '../../store/store.ts';
import { addVersion } from './add-version.ts';
import { withName } from './claim-name.ts';
import type { CommittedVersion } from './commit-tree.ts';
import { looksLikeImage } from './image-files.ts';
import { withArchive } from './open-archive.ts';
import { readDirectory } from './read-directory.ts';
import { parseOciSource, readImage, readOci } from './read-oci.ts';
import { type MemberRule, TarImport } from './read-tar.ts';
import { DEFAULT_SHARED_PATTERNS } from './shared-path.ts';
import type { OnProgress, OnWarning, TreeNode } from './tree.ts';
import { TreeBuilder } from './tree-builder.ts';

const OCI_PREFIX = 'oci:';
const STDIN = '/dev/stdin';

/** Settings of an import. */
export interface ImportOptions {
  /** The kind of a new template; 'os' if not given. An existing template keeps its kind. */
  readonly kind?: TemplateKind;
  readonly label?: string;
  readonly note?: string;
  /** What the version keeps as its configuration: what its envs need. */
  readonly config?: string;
  /** Path patterns of the shared data path; if not given, the template's own ones, or the default. */
  readonly sharedPatterns?: readonly string[];
  readonly progress?: OnProgress;
  /** Is told what was left out, in a sentence. */
  readonly warn?: OnWarning;
}

/**
 * Imports SOURCE as the first version of a new template, which is then current, or as a further,
 * staged version of the one that has this name. Until the one commit at its end nothing shows, and on
 * any error the store is as before.
 *
 * @param source a directory, a tar (plain, gzip, xz, zstd; `-` is standard input), an archive of an image (docker
 *   save, oci-archive), or
 *   `oci:DIR[:TAG]`, `oci:ARCHIVE[:TAG]`
 * @throws ByrefError 'badInput' for what is refused, 'noSpace', 'notFound', 'usage'
 */
export async function importTemplate(
  store: Store,
  name: string,
  source: string,
  options: ImportOptions = {},
): Promise<CommittedVersion> {
  checkName('template', name);
  const { label = '', note = '', config = '', progress = () => undefined } = options;
  const { kind } = templateFor(store, name, options);
  const committed = await withName(store.root, name, kind === 'app' ? 'app' : 'os', () =>
    addVersion(store, {
      template: () => templateFor(store, name, options),
      read: (writer) => readSource(store, source, writer, options),
      describe: () => ({ label, note, config }),
      onlyIfChanged: false,
      // It is how an object that was damaged without a word gets its bytes back.
      distrust: 'all',
      progress,
    }),
  );
  return committed!;
}

/**
 * Returns the template's row or, with id 0, the row that a new one will get.
 * @throws ByrefError 'usage' if it exists with another kind
 */
export function templateFor(
  store: Store,
  name: string,
  options: Pick<ImportOptions, 'kind' | 'sharedPatterns'>,
): TemplateRow {
  const known = store.template(name);
  const { kind = known?.kind ?? 'os' } = options;
  if (known !== null && known.kind !== kind) {
    const message = `template ${name} is of kind ${known.kind}`;
    throw new ByrefError('usage', message, `Leave out --kind ${kind}, or choose another name.`);
  }
  const sharedPatterns = options.sharedPatterns ?? known?.sharedPatterns ?? DEFAULT_SHARED_PATTERNS;
  return known !== null
    ? { ...known, sharedPatterns }
    : { id: 0, name, kind, current: 0, newest: 0, sharedPatterns };
}

async function readSource(
  store: Store,
  source: string,
  writer: ObjectWriter,
  options: ImportOptions,
): Promise<TreeNode> {
  const { progress = () => undefined, warn = () => undefined } = options;
  if (source.startsWith(OCI_PREFIX)) {
    return readOci(parseOciSource(source.slice(OCI_PREFIX.length)), writer, progress);
  }
  const at = source === '-' ? STDIN : source;
  const stat = statSync(at, { throwIfNoEntry: false });
  if (stat === undefined) {
    throw new ByrefError(
      'notFound',
      `there is no ${source}`,
      'Name a directory, a tar, an archive of an image, or oci:DIR.',
    );
  }
  if (stat.isDirectory()) {
    return readDirectory({ path: at, exclude: store.root }, writer, progress, warn);
  }
  if (!stat.isFIFO()) return readFile(at, writer, progress);
  return withCopy(at, (file) => readFile(file, writer, progress));
}

/** Copies a pipe to a temporary file, since archives are read more than once, and passes that to `work`. */
async function withCopy<T>(source: string, work: (file: string) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(path.join(TEMPORARY_DIR, 'byref-import-'));
  try {
    const file = path.join(dir, 'archive');
    await pipeline(createReadStream(source), createWriteStream(file, { mode: 0o600 }));
    return await work(file);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** Reads an archive of a root file system or of an image, whichever it is. */
async function readFile(
  source: string,
  writer: ObjectWriter,
  progress: OnProgress,
): Promise<TreeNode> {
  if (await looksLikeImage(source)) {
    const image = await readImage({ at: source, tag: null }, writer, progress);
    if (image !== null) return image;
  }
  return readArchive(source, writer, progress);
}

/**
 * Reads an archive of a root file system, or of an image, into a tree.
 * @param rule decides about each member; all are kept if it is not given
 */
export async function readArchive(
  file: string,
  writer: ObjectWriter,
  progress: OnProgress,
  rule?: MemberRule,
): Promise<TreeNode> {
  const tree = new TreeBuilder('refuse');
  const tar = new TarImport(tree, writer, progress);
  const options = { layer: false, ...(rule === undefined ? {} : { rule }) };
  await withArchive(file, (stream, part) => tar.read(stream, part, options));
  tar.finish();
  await writer.finish();
  return tree.root;
}
