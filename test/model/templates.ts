import { newNode, type RefNode } from './node.ts';
import { APP_VERSIONS, OS_VERSIONS, START_MTIME_NS, type TreeEntry, type Version } from './tree.ts';

/** The version of each template that an env sees, the OS first. */
export type Stack = readonly [os: number, app: number];

/** What one version of a template has: names with nodes by directory, and attributes of directories. */
interface VersionNames {
  readonly dirs: Map<string, Map<string, RefNode>>;
  readonly modes: Map<string, number>;
}

/** Where a path hangs: its directory ('' at the top), and its name there. */
export function split(path: string): [dir: string, name: string] {
  const at = path.lastIndexOf('/');
  return [path.slice(0, Math.max(at, 0)), path.slice(at + 1)];
}

/**
 * The templates of the reference. A directory is one node per path, whichever template or version has it; a file is
 * one node for as long as nothing about it changes from a version to the next, with all names that it has.
 */
export class Templates {
  private readonly nodes = new Map<string, RefNode>();
  private readonly templates: readonly (readonly VersionNames[])[];

  constructor() {
    this.templates = [OS_VERSIONS, APP_VERSIONS].map((versions) => this.read(versions));
  }

  private read(versions: readonly Version[]): VersionNames[] {
    let before = new Map<string, RefNode>();
    return versions.map((version) => {
      const files = new Map<string, RefNode>();
      const names: VersionNames = { dirs: new Map(), modes: new Map() };
      for (const entry of version) {
        const [dir, name] = split(entry.path);
        const siblings = names.dirs.get(dir) ?? new Map<string, RefNode>();
        names.dirs.set(dir, siblings);
        if (entry.kind === 'directory') {
          names.modes.set(entry.path, entry.mode ?? 0o755);
          siblings.set(name, this.directory(entry.path));
          continue;
        }
        const what = describe(version, entry);
        const node = files.get(what) ?? before.get(what) ?? fileNode(version, entry);
        files.set(what, node);
        siblings.set(name, node);
      }
      before = files;
      return names;
    });
  }

  private directory(path: string): RefNode {
    const node = this.nodes.get(path) ?? { ...newNode('directory', 0o755), origin: path };
    node.mtimeNs = START_MTIME_NS;
    this.nodes.set(path, node);
    return node;
  }

  find(path: string): RefNode | undefined {
    return this.nodes.get(path);
  }

  /** All directories that the stack has, or (null) any version. */
  directories(stack: Stack | null): RefNode[] {
    const all = [...this.nodes.values()];
    return stack === null
      ? all
      : all.filter(({ origin }) => this.mode(stack, origin!) !== undefined);
  }

  private at(stack: Stack): VersionNames[] {
    return stack.map((version, i) => this.templates[i]![version - 1]!);
  }

  /** What the stack has in a directory: the app's name before the OS's. */
  entries(stack: Stack, dir: string): ReadonlyMap<string, RefNode> {
    return new Map(this.at(stack).flatMap(({ dirs }) => [...(dirs.get(dir) ?? [])]));
  }

  /** A directory's mode: as the lowest template says that has it. Undefined: none of the stack has it. */
  mode(stack: Stack, dir: string): number | undefined {
    return this.at(stack)
      .map(({ modes }) => modes.get(dir))
      .find((mode) => mode !== undefined);
  }

  /** The mode that a directory had in the last version up to now that had it, or else in the next one that has it. */
  lastMode(stack: Stack, dir: string): number | undefined {
    const all = this.templates.flatMap((versions, i) => {
      const modes = versions.map((version) => version.modes.get(dir));
      return [...modes.slice(0, stack[i]).reverse(), ...modes.slice(stack[i])];
    });
    return all.find((mode) => mode !== undefined);
  }

  /** Everything that any version of any template has under a name. */
  everAt(dir: string, name: string): RefNode[] {
    return this.templates.flatMap((versions) =>
      versions.flatMap(({ dirs }) => dirs.get(dir)?.get(name) ?? []),
    );
  }
}

/** All that makes a file what it is: equal for the names of a hard link group, and for two versions of a file that stays. */
function describe(version: Version, entry: TreeEntry): string {
  const file = entry.kind === 'link' ? version.find(({ path }) => path === entry.of)! : entry;
  const links = version.filter((other) => other.kind === 'link' && other.of === file.path);
  return JSON.stringify([file, links]);
}

function fileNode(version: Version, entry: TreeEntry): RefNode {
  if (entry.kind === 'link') {
    return fileNode(version, version.find(({ path }) => path === entry.of)!);
  }
  const made = { origin: entry.path, mtimeNs: START_MTIME_NS };
  if (entry.kind === 'symlink')
    return withBase({ ...newNode('symlink', 0o777, entry.target), ...made });
  if (entry.kind === 'directory') throw new Error(`${entry.path} is no file`);
  const node = { ...newNode('file', entry.mode ?? 0o644), ...made };
  node.content = Buffer.from(entry.text);
  if (entry.xattr !== undefined) node.xattrs.set('user.one', entry.xattr);
  return withBase(node);
}

function withBase(node: RefNode): RefNode {
  const { mode, uid, gid, mtimeNs, xattrs, content } = node;
  return { ...node, base: { mode, uid, gid, mtimeNs, xattrs: new Map(xattrs), content } };
}
