/** Adds one version to a template, whatever puts its tree together. Either all of it is added, or nothing. */
import { ByrefError } from '../../base/error.ts';
import { failpoint } from '../../base/failpoints.ts';
import { isNoSpace } from '../../base/no-space.ts';
import type { TemplateRow, VersionBase } from '../../codec/store-rows.ts';
import { knownDamage } from '../../store/known-damage.ts';
import type { Distrust } from '../../store/object-job.ts';
import { ObjectWriter } from '../../store/object-writer.ts';
import type { Store } from '../../store/store.ts';
import { type CommittedVersion, commitTree, type NewVersion } from './commit-tree.ts';
import type { OnProgress, TreeNode } from './tree.ts';

/** The description of a version, beside its tree. */
export interface VersionText {
  readonly label: string;
  readonly note: string;
  /** The configuration that it was built from; '' if it was imported. */
  readonly config?: string;
  /** For an app: the version that it was installed on. */
  readonly base?: VersionBase;
  /** It is no version to go to: as one that envs have left behind. */
  readonly isOld?: boolean;
}

/** The source of a new version. */
export interface VersionSource {
  /** Returns the template as it is at that moment; a new one has id 0 (templateFor). */
  readonly template: () => TemplateRow;
  /** Reads the tree. Its files are added to the writer, and the writer is finished, when this resolves. */
  readonly read: (writer: ObjectWriter) => Promise<TreeNode>;
  /**
   * Describes the version. May change the tree's attributes, and read its objects. Called again if the template
   * got another version meanwhile.
   * @param template the template on top of which the version will be put
   */
  readonly describe: (tree: TreeNode, template: TemplateRow) => VersionText;
  /** Makes no version if the tree is the same as the newest version's. */
  readonly onlyIfChanged: boolean;
  /** Objects that are compared with what the tree has; if not given, those that were found damaged. */
  readonly distrust?: Distrust;
  /** Makes no version if the template has one already. */
  readonly onlyFirst?: boolean;
  readonly progress: OnProgress;
}

/** Says that another version was committed first, so that this one has to be described again. */
const AGAIN = Symbol('again');

/**
 * Adds the version in one commit at the end: nothing shows before, and on any error the store is as it was. The
 * store must be open for writing. The writer's lock is needed for the commit only, and waited for as long as it
 * takes. If another process adds a version meanwhile, this one comes after it.
 * @returns null if nothing changed
 */
export async function addVersion(
  store: Store,
  source: VersionSource,
): Promise<CommittedVersion | null> {
  const committed = await add(store, source);
  if (committed !== null) await identify(store, committed);
  return committed;
}

async function add(store: Store, source: VersionSource): Promise<CommittedVersion | null> {
  const { progress } = source;
  const { name } = source.template();
  const { distrust = new Set(knownDamage(store.root)) } = source;
  const begun = ObjectWriter.begin(store.objects, store.waiting, distrust);
  const writer = await begun.catch((cause: unknown) => {
    throw asSentence(cause, name);
  });
  try {
    const tree = await source.read(writer);
    progress({ phase: 'store', files: 0, bytes: 0 });
    await writer.publish();
    progress({ phase: 'commit', files: 0, bytes: 0 });
    const committed = await commit(store, tree, writer, source);
    if (committed === null) {
      await discard(store, writer);
      return null;
    }
    const { files, bytes } = committed.version;
    progress({ phase: 'commit', files, bytes });
    return committed;
  } catch (cause) {
    await discard(store, writer);
    throw asSentence(cause, name);
  }
}

async function commit(
  store: Store,
  tree: TreeNode,
  writer: ObjectWriter,
  source: VersionSource,
): Promise<CommittedVersion | null> {
  const { onlyIfChanged, onlyFirst = false } = source;
  for (;;) {
    store.refresh();
    const template = source.template();
    if (onlyFirst && template.newest > 0) return null;
    const wanted = { template, ...source.describe(tree, template), onlyIfChanged };
    const done = await store.writing(() => {
      const now = source.template();
      if (now.id !== template.id || now.newest !== template.newest) return AGAIN;
      refuseLostBase(store, wanted);
      // Another version may be current by now.
      const committed = commitTree(store, tree, { ...wanted, template: now });
      failpoint('version-committed');
      if (committed !== null) writer.end();
      return committed;
    });
    if (done !== AGAIN) return done;
  }
}

/** Notes the version's identity. Without it the version is no worse: who asks for it has it computed. */
async function identify(store: Store, { template, version }: CommittedVersion): Promise<void> {
  const ref = { templateId: template.id, version: version.number };
  try {
    await store.writing(() => store.noteIdentity(ref));
  } catch (error) {
    if (!isNoSpace(error)) throw error;
  }
}

/**
 * Refuses a version whose base was removed. A build keeps its base in use until it is committed; a recording
 * made earlier may have lost it.
 */
function refuseLostBase({ catalog }: Store, { base, template }: NewVersion): void {
  if (base === undefined || catalog.version(base.templateId, base.version) !== null) return;
  const name = catalog.refName(base);
  const message = `${name}, which ${template.name} was made on, was removed meanwhile`;
  throw new ByrefError('notFound', message, 'Make it again on a version that is there.');
}

/** Removes what was published; if other processes store objects just then, the last of them does it. */
async function discard(store: Store, writer: ObjectWriter): Promise<void> {
  if (await writer.discard()) await store.writing(() => store.objects.sweepUnfinished());
}

/** Turns errors of reading and writing into a sentence; anything else is a bug, and stays as it is. */
function asSentence(cause: unknown, name: string): unknown {
  if (cause instanceof ByrefError || !isNoSpace(cause)) return cause;
  const message = `no space left on the device while ${name} was stored; the store is as before`;
  const hint = 'Free some space below the root, then try again.';
  return new ByrefError('noSpace', message, hint, { cause });
}
