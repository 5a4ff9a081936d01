/**
 * Steps: small changes to the names of one env that a patch makes, of which there may be thousands. They reach
 * the driver in a file in the env's directory, not in its request: lines of JSON, of which the first names the
 * format (docs/internals/FORMAT-delta.md).
 */
import { Damaged, parseStored } from '../base/damaged.ts';
import type { Ino, Name } from '../base/ids.ts';

/** The `type` of a whiteout that a patch made, rather than the env. */
export const HIDDEN = 1;

/**
 * The kinds of steps: each says what happens to a name.
 * keep: the name stays what it is, although the templates get something else there.
 * hide: it stays absent, although the templates get something there.
 * relink: what the env has there is removed, and the templates' shows.
 * place: the env gets a file of its own with the bytes and attributes of a template's.
 * dissolve: a directory that the env made becomes the templates' directory of that place.
 * release: a directory in which the env has nothing (any longer) becomes the templates' alone again, or is
 * removed if it is the env's own.
 * share: the env's copy, which has the very bytes of a template's file or was kept, is removed; the attributes
 * that the env set stay.
 * put: what the env has there, if anything, is replaced at once by a file of its own with the bytes of a
 * template's.
 * mask: the name is absent from now on, whatever the env or the templates have there.
 * dress: the templates' file shows other attributes.
 */
export type StepKind =
  | 'keep'
  | 'hide'
  | 'relink'
  | 'place'
  | 'dissolve'
  | 'release'
  | 'share'
  | 'put'
  | 'mask'
  | 'dress';

/** The attributes that a step gives a file; `mode` has no type bits. */
export interface StepAttributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** All extended attributes of a directory: names, and values in base64. If absent, the existing ones stay. */
  readonly xattrs?: readonly (readonly [string, string])[];
}

/** The ctime that a file showed when it was compared. The step is skipped if it is another one by then. */
export interface Compared {
  readonly ctime: number;
  readonly ctimeNs: number;
}

/** One small change to one name of an env. */
export interface Step extends Compared {
  readonly kind: StepKind;
  readonly dir: Ino;
  /** A binary string. */
  readonly name: Name;
  /**
   * keep, release: the template's inode that the name has. relink, share, dissolve: the env's own inode, 0
   * where it hides the name. place: the inode whose bytes the file gets. hide: 0. put, mask, dress: the env's
   * own inode that is removed, 0 for none.
   */
  readonly ino: Ino | 0;
  /** share: the template's inode that has these bytes, under this name in some version. */
  readonly like?: Ino;
  /** put, dress: the template's inode whose bytes the name gets. */
  readonly source?: Ino;
  /** put: absent to take those of the template's file. */
  readonly attributes?: StepAttributes;
  /** dissolve: what becomes of the directory's contents. */
  readonly tree?: DirSteps;
}

/** The value for steps in which nothing is compared. */
const NOT_COMPARED: Compared = { ctime: 0, ctimeNs: 0 };

/** Makes a step without optional fields. @param compared what the env's file showed, for a relink */
export const makeStep = (
  kind: StepKind,
  { dir, name }: Pick<Step, 'dir' | 'name'>,
  ino: Ino | 0,
  { ctime, ctimeNs }: Compared = NOT_COMPARED,
): Step => ({ kind, dir, name, ino, ctime, ctimeNs });

/** A directory of the env that is dissolved, with those inside it. All of it happens, or nothing. */
export interface DirSteps {
  readonly ino: Ino;
  /** The templates' directory that it becomes. 0: they have none, and everything in this one is removed. */
  readonly to: Ino | 0;
  /** Files that are removed. */
  readonly relink: readonly (Compared & { readonly name: Name; readonly ino: Ino })[];
  /** Entries that stay the env's own, and are in the templates' directory from then on. `type` has S_IFMT bits. */
  readonly move: readonly { readonly name: Name; readonly ino: Ino; readonly type: number }[];
  readonly dirs: readonly { readonly name: Name; readonly tree: DirSteps }[];
  /** Names that the templates have and the env does not: it removed them. */
  readonly remove: readonly Name[];
  /** Names in the templates' directory that the env had removed, and has again. */
  readonly clear: readonly Name[];
}

const FORMAT = 'byref steps 1';

/** Returns the content of a file of steps. */
export function encodeSteps(steps: readonly Step[]): Buffer {
  const lines = [FORMAT, ...steps].map((each) => JSON.stringify(each));
  return Buffer.from([...lines, ''].join('\n'), 'utf8');
}

/** Reads a file of steps. @throws Damaged for another format */
export function decodeSteps(bytes: Buffer): Step[] {
  const [format, ...lines] = bytes.toString('utf8').split('\n');
  if (format !== JSON.stringify(FORMAT)) throw new Damaged(`steps of another format: ${format}`);
  return lines.filter((line) => line !== '').map((line) => parseStored(line) as Step);
}
