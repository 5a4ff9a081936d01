/** Makes a version of a listing, which names the objects of its files: exportListing() in export.ts. */
import { createReadStream } from 'node:fs';
import { ByrefError } from '../../base/error.ts';
import type { ObjectId } from '../../base/ids.ts';
import type { VersionBase } from '../../codec/store-rows.ts';
import { checkName } from '../../store/names.ts';
import type { ObjectWriter } from '../../store/object-writer.ts';
import type { Store } from '../../store/store.ts';
import { addVersion } from './add-version.ts';
import { withName } from './claim-name.ts';
import type { CommittedVersion } from './commit-tree.ts';
import { type ImportOptions, templateFor } from './import.ts';
import { TarImport } from './read-tar.ts';
import type { TreeNode } from './tree.ts';
import { TreeBuilder } from './tree-builder.ts';

const PIECE = 2 ** 20;

/** An object that the store lacks. */
export interface Lacking {
  readonly id: ObjectId;
  readonly size: number;
}

/** Brings objects that the store lacks, if it lacks any, and returns the files that have them, on the store's file system; nobody writes to those any longer. */
export type Fetch = (lacking: readonly Lacking[]) => Promise<(id: ObjectId) => string>;

/** What a listing does not say of a version. */
export interface ListedVersion
  extends Pick<ImportOptions, 'kind' | 'label' | 'note' | 'config' | 'sharedPatterns'> {
  /** For an app: the version that it was installed on. */
  readonly base?: VersionBase;
  /** As of NewVersion. */
  readonly isOld: boolean;
}

/**
 * Makes the version, as importTemplate() does: whole, or not at all. No object is removed from the store meanwhile, so what is not fetched stays there.
 * @throws ByrefError 'badInput' for what is no listing, 'corrupt' for an object that was brought with other bytes; what `fetch` throws
 */
export async function importListing(
  store: Store,
  name: string,
  listing: string,
  options: ListedVersion,
  fetch: Fetch,
): Promise<CommittedVersion> {
  checkName('template', name);
  const { kind, label = '', note = '', config = '', base, isOld } = options;
  const committed = await withName(store.root, name, kind === 'app' ? 'app' : 'os', () =>
    addVersion(store, {
      template: () => templateFor(store, name, options),
      read: (writer) => read(writer, listing, fetch),
      describe: () => ({ label, note, config, isOld, ...(base !== undefined && { base }) }),
      onlyIfChanged: false,
      progress: () => undefined,
    }),
  );
  return committed!;
}

async function read(writer: ObjectWriter, listing: string, fetch: Fetch): Promise<TreeNode> {
  const tree = new TreeBuilder('refuse');
  const tar = new TarImport(tree, writer, () => undefined);
  const sizes = new Map<ObjectId, number>();
  const onObject = (id: ObjectId, size: number): void => {
    if ((sizes.get(id) ?? size) !== size)
      throw new ByrefError('badInput', `the listing gives ${id} two sizes`, 'Send it again.');
    sizes.set(id, size);
  };
  const stream = createReadStream(listing, { highWaterMark: PIECE });
  try {
    await tar.read(stream as AsyncIterable<Buffer>, () => 0, { layer: false, onObject });
  } finally {
    stream.destroy();
  }
  tar.finish();
  const lacking = [...sizes].flatMap(([id, size]) => (writer.has(id, size) ? [] : [{ id, size }]));
  const others = await add(writer, lacking, await fetch(lacking));
  await writer.finish();
  if (others.length > 0) throw otherBytes(others[0]!);
  return tree.root;
}

/** Adds what was brought. Returns a list that has, once the writer is finished, the ids of objects that came with other bytes. */
async function add(
  writer: ObjectWriter,
  lacking: readonly Lacking[],
  fileOf: (id: ObjectId) => string,
): Promise<readonly ObjectId[]> {
  const others: ObjectId[] = [];
  for (const { id, size } of lacking) {
    const wait = writer.addLink(fileOf(id), (found, bytes) => {
      if (found !== id || bytes !== size) others.push(id);
    });
    if (wait !== null) await wait;
  }
  return others;
}

const otherBytes = (id: ObjectId): ByrefError =>
  new ByrefError('corrupt', `what came as the object ${id} has other bytes`, 'Send it again.');
