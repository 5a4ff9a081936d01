/** One more version of a template, from whatever puts its tree together: all of it, or nothing. */
import { ByrefError } from '../base/error.ts';
import { isNoSpace } from '../base/no-space.ts';
import type { TemplateRow, VersionBase } from '../codec/store-rows.ts';
import { ObjectWriter } from '../store/object-writer.ts';
import type { Store } from '../store/store.ts';
import { type CommittedVersion, commitTree } from './commit-tree.ts';
import type { OnProgress, TreeNode } from './tree.ts';

export interface VersionText {
  readonly label: string;
  readonly note: string;
  /** What it was built from; '' if it was imported. */
  readonly config?: string;
  /** Of an app: what it was installed on. */
  readonly base?: VersionBase;
}

export interface VersionSource {
  /** Of a new template, id 0; see templateFor. */
  readonly template: TemplateRow;
  /** The tree, with its files added to the writer, and the writer finished. */
  readonly read: (writer: ObjectWriter) => Promise<TreeNode>;
  /** May change the tree's attributes, and read its objects. */
  readonly describe: (tree: TreeNode) => VersionText;
  /** A tree that is the newest version's again makes none. */
  readonly onlyIfChanged: boolean;
  readonly progress: OnProgress;
}

/**
 * Until the one commit at its end nothing shows, and on any error the store is as before.
 * @returns null if nothing changed
 */
export async function addVersion(
  store: Store,
  { template, read, describe, onlyIfChanged, progress }: VersionSource,
): Promise<CommittedVersion | null> {
  const writer = new ObjectWriter(store.objects);
  try {
    const tree = await read(writer);
    progress({ phase: 'store', files: 0, bytes: 0 });
    await writer.publish();
    progress({ phase: 'commit', files: 0, bytes: 0 });
    const text = describe(tree);
    const committed = commitTree(store, tree, { template, ...text, onlyIfChanged });
    if (committed === null) {
      await writer.discard();
      return null;
    }
    const { files, bytes } = committed.version;
    progress({ phase: 'commit', files, bytes });
    writer.settle();
    return committed;
  } catch (cause) {
    await writer.discard();
    throw asSentence(cause, template.name);
  }
}

/** Errors of reading and writing as a sentence; anything else is a bug and stays as it is. */
function asSentence(cause: unknown, name: string): unknown {
  if (cause instanceof ByrefError || !isNoSpace(cause)) return cause;
  const message = `no space left on the device while ${name} was stored; the store is as before`;
  const hint = 'Free some space below the root, then try again.';
  return new ByrefError('noSpace', message, hint, { cause });
}
