/**
 * Steps: small changes to the names of one env that a patch makes, of which there may be thousands. They go to the driver in a
 * file of the env's directory, not in its request: lines of JSON, of which the first one names the format. docs/FORMAT-delta.md
 */
import type { Ino, Name } from '../base/ids.ts';

/**
 * keep: the name stays what it is, although the templates get something else there. hide: it stays absent, although they get
 * something. relink: what the env has there goes, and the templates' shows. place: the env gets a file of its own with the bytes
 * and attributes of a template's. dissolve: a directory that the env made becomes the templates' one in its place. release: a
 * directory in which the env has nothing (any more) is the templates' alone again, or goes if it is the env's own. share: the
 * env's copy has the very bytes of a template's file, or is one that was kept: it goes, and the attributes stay that the env has set. put: the env's file,
 * or nothing, gives way to a file of its own with the bytes of a template's, at once. mask: the name is absent from now on, whatever
 * the env or the templates have there. dress: the templates' file shows other attributes.
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

/** The mode has no bits of a type. */
export interface StepAttributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** All extended attributes of a directory: names, and values in base64. Absent: those that are there stay. */
  readonly xattrs?: readonly (readonly [string, string])[];
}

/** The ctime that a file showed when it was compared; the step is left out if it is another one by then. */
export interface Compared {
  readonly ctime: number;
  readonly ctimeNs: number;
}

export interface Step extends Compared {
  readonly kind: StepKind;
  readonly dir: Ino;
  /** A binary string. */
  readonly name: Name;
  /**
   * keep, release: the template's inode that the name has. relink, share, dissolve: the env's own, 0 where it hides the name. place: the inode
   * whose bytes it gets. hide: 0. put, mask, dress: the env's own that goes, 0 for none.
   */
  readonly ino: Ino | 0;
  /** share: the template's inode, under this name in some version, that has the bytes. */
  readonly like?: Ino;
  /** put, dress: the template's inode that the name gets the bytes of. */
  readonly source?: Ino;
  /** put: absent for those of the template's. */
  readonly attributes?: StepAttributes;
  /** dissolve: what becomes of all that is in it. */
  readonly tree?: DirSteps;
}

/** Of what is compared with nothing. */
const NOT_COMPARED: Compared = { ctime: 0, ctimeNs: 0 };

/** @param compared what the env's file showed, for a relink */
export const makeStep = (
  kind: StepKind,
  { dir, name }: Pick<Step, 'dir' | 'name'>,
  ino: Ino | 0,
  { ctime, ctimeNs }: Compared = NOT_COMPARED,
): Step => ({ kind, dir, name, ino, ctime, ctimeNs });

/** One directory of the env that is dissolved, and those in it. All of it happens, or nothing. */
export interface DirSteps {
  readonly ino: Ino;
  /** The templates' directory; 0: they have none, and all that is in this one goes. */
  readonly to: Ino | 0;
  /** Files that go. */
  readonly relink: readonly (Compared & { readonly name: Name; readonly ino: Ino })[];
  /** What stays the env's own, and is in the templates' directory from then on. `type` is S_IFMT bits. */
  readonly move: readonly { readonly name: Name; readonly ino: Ino; readonly type: number }[];
  readonly dirs: readonly { readonly name: Name; readonly tree: DirSteps }[];
  /** Names that the templates have and the env has not: it removed them. */
  readonly remove: readonly Name[];
  /** Names in the templates' directory that the env had removed, and has again. */
  readonly clear: readonly Name[];
}

const FORMAT = 'byref steps 1';

export function encodeSteps(steps: readonly Step[]): Buffer {
  const lines = [FORMAT, ...steps].map((each) => JSON.stringify(each));
  return Buffer.from([...lines, ''].join('\n'), 'utf8');
}

/** @throws RangeError for another format */
export function decodeSteps(bytes: Buffer): Step[] {
  const [format, ...lines] = bytes.toString('utf8').split('\n');
  if (format !== JSON.stringify(FORMAT)) throw new RangeError(`steps of another format: ${format}`);
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Step);
}
