/**
 * Decides which packages stay in an env for others when it goes to another stack of templates, so that dependencies between
 * its own packages and those that follow stay met. apt judges that (apt-judge.ts), on the records as they would be after
 * the step.
 */
import type { DependencyPolicy } from '../../codec/patch-record.ts';
import {
  isPresent,
  type OwnPackage,
  ownPackages,
  type PackageRecord,
  type PackageSides,
} from '../merge/packages.ts';
import { fieldOf } from '../merge/stanzas.ts';
import { judge, statusOf, type Unmet } from './apt-judge.ts';
import type { EnvTree } from './env-tree.ts';

/** The decision about an env's packages at one step. */
export interface PackageVerdict {
  /** The packages that stay the env's own, by key, including those that stay for others. */
  readonly own: ReadonlyMap<string, OwnPackage>;
  /** Keys of packages that were kept back for others, or were held, and follow again. */
  readonly released: ReadonlySet<string>;
  /** Dependencies that are met before the step and not after it, in apt's words. */
  readonly unmet: readonly string[];
  /** Why apt could not be asked, in a sentence; null if it was, or if there was nothing to ask. */
  readonly unable: string | null;
  /** The env's packages before the step. */
  readonly ours: PackageSides['ours'];
  /** The env's packages after the step. */
  readonly after: readonly PackageRecord[];
  /** Names of the packages that the env then has as the templates have them. */
  readonly following: ReadonlySet<string>;
}

/** The packages of an env and its templates, with what else decides about them. */
export interface DependencySides extends PackageSides {
  /** Names of packages that follow although they are the env's own. */
  readonly taken: ReadonlySet<string>;
  /** The architectures that dpkg knows, the machine's own first. */
  readonly architectures: readonly string[];
  /** True for a package that differs from the templates' by no doing of the env. */
  isFormer(template: PackageRecord | null, mine: PackageRecord | null): boolean;
}

/** How many times packages are added to those that stay; after that, all that the step changes stay. */
const ROUNDS_MAX = 20;

/** Decides about all packages of one env. Asks apt only if the env has packages that differ from the templates'. */
export async function decide(
  sides: DependencySides,
  policy: DependencyPolicy,
): Promise<PackageVerdict> {
  return new Decision(sides).make(policy);
}

class Decision {
  private readonly sides: DependencySides;
  private readonly own: Map<string, OwnPackage>;
  private readonly released = new Set<string>();
  private readonly keys: readonly string[];

  constructor(sides: DependencySides) {
    const { base, ours, theirs, taken } = sides;
    this.sides = sides;
    this.keys = [...new Set([...base.keys(), ...theirs.keys(), ...ours.keys()])];
    this.own = ownPackages(sides, taken);
    for (const [key, { why }] of this.own) {
      const template = base.get(key) ?? theirs.get(key) ?? null;
      const mayFollow = why === 'version' || why === 'removed';
      if (mayFollow && sides.isFormer(template, ours.get(key) ?? null)) this.released.add(key);
    }
    // A package that the templates have dropped, and that was kept for another one, goes.
    for (const [key, record] of ours) {
      const isFree = isPresent(record) && record.want !== 'hold';
      const isDropped = isFree && !base.has(key) && !theirs.has(key);
      if (isDropped && sides.isFormer(null, record)) this.released.add(key);
    }
    for (const key of this.released) this.own.delete(key);
  }

  async make(policy: DependencyPolicy): Promise<PackageVerdict> {
    const { sides } = this;
    if (!this.hasOwn()) return this.verdict([], null);
    const before = statusOf(sides.ours.values());
    if (statusOf(this.after()) === before) return this.verdict([], null);
    let first: readonly Unmet[] | null = null;
    for (let round = 0; ; round++) {
      const found = await this.broken();
      if ('unable' in found) return this.verdict(texts(first ?? []), found.unable);
      const { broken } = found;
      first ??= broken;
      if (broken.length === 0) return this.verdict([], null);
      if (policy === 'follow') return this.verdict(texts(broken), null);
      if (round < ROUNDS_MAX && this.keepFor(broken)) continue;
      if (!this.keepAll(broken)) return this.verdict(texts(broken), null);
    }
  }

  private verdict(unmet: readonly string[], unable: string | null): PackageVerdict {
    const { ours, theirs } = this.sides;
    const after = this.after();
    const following = after.filter((each) => theirs.get(each.key) === each);
    return {
      own: this.own,
      released: this.released,
      unmet,
      unable,
      ours,
      after,
      following: new Set(following.map(({ name }) => name)),
    };
  }

  /** False for an env that has all packages as its templates have them, and so depends on nothing else. */
  private hasOwn(): boolean {
    const { base, ours, theirs } = this.sides;
    if (this.own.size > 0 || this.released.size > 0) return true;
    return [...ours].some(([key, each]) => isPresent(each) && !base.has(key) && !theirs.has(key));
  }

  /** Returns what is met before the step and not after it. */
  private async broken(): Promise<{ broken: readonly Unmet[] } | { unable: string }> {
    const { ours, architectures } = this.sides;
    const after = await judge(this.after(), architectures);
    if ('unable' in after || after.unmet.length === 0)
      return 'unable' in after ? after : { broken: [] };
    const before = await judge(ours.values(), architectures);
    if ('unable' in before) return before;
    const was = new Set(before.unmet.map(({ key }) => key));
    return { broken: after.unmet.filter(({ key }) => !was.has(key)) };
  }

  private after(): PackageRecord[] {
    return this.keys.flatMap((key) => this.recordAfter(key) ?? []);
  }

  private recordAfter(key: string): PackageRecord | null {
    const { base, ours, theirs } = this.sides;
    const isOwn =
      this.own.has(key) || !(base.has(key) || theirs.has(key) || this.released.has(key));
    return (isOwn ? ours : theirs).get(key) ?? null;
  }

  /** Returns the keys of packages that the step would change in the env. */
  private moving(): string[] {
    const { ours } = this.sides;
    return this.keys.filter((key) => {
      const [mine, after] = [ours.get(key), this.recordAfter(key)];
      return statusOf(mine ? [mine] : []) !== statusOf(after ? [after] : []);
    });
  }

  /** Keeps all packages that take part in what is broken; false if none of them moves. */
  private keepFor(broken: readonly Unmet[]): boolean {
    const moving = this.moving();
    let isMore = false;
    for (const { names } of broken) {
      for (const key of moving) {
        if (this.own.has(key) || !names.some((name) => this.isMeant(key, name))) continue;
        this.keep(key, names);
        isMore = true;
      }
    }
    return isMore;
  }

  /** True for the package of that name, and for one that provides that name before or after the step. */
  private isMeant(key: string, name: string): boolean {
    const { ours, theirs } = this.sides;
    return [ours.get(key), theirs.get(key)].some((record) => {
      if (record === undefined) return false;
      if (record.name === name) return true;
      const provided = fieldOf(record.stanza, 'Provides') ?? '';
      return provided.split(',').some((each) => each.trim().split(/[\s(]/)[0] === name);
    });
  }

  /** Keeps all packages that the step would change. False if there is nothing more to keep. */
  private keepAll([first]: readonly Unmet[]): boolean {
    const moving = this.moving().filter((key) => !this.own.has(key));
    for (const key of moving) this.keep(key, first?.names ?? []);
    return moving.length > 0;
  }

  /** Makes a package stay for others. @param names of the packages in the broken dependency, of which it is one */
  private keep(key: string, names: readonly string[]): void {
    const { ours, theirs } = this.sides;
    const { name } = (ours.get(key) ?? theirs.get(key))!;
    const versionOf = (record: PackageRecord | undefined): string | null =>
      isPresent(record) ? record.version : null;
    this.released.delete(key);
    this.own.set(key, {
      name,
      why: 'needed',
      own: versionOf(ours.get(key)),
      template: versionOf(theirs.get(key)),
      for: this.reason(name, names),
    });
  }

  /** Returns the env's own package for which another one stays, as "libx-dev 1". */
  private reason(name: string, names: readonly string[]): string {
    const others = names.filter((each) => each !== name);
    const isOwn = (each: string): boolean =>
      [...this.own.values()].some((own) => own.name === each) ||
      this.find(each, this.sides.theirs) === undefined;
    const other = others.find(isOwn) ?? others[0] ?? name;
    const mine = this.find(other, this.sides.ours);
    return isPresent(mine) ? `${other} ${mine.version}` : other;
  }

  private find(name: string, side: PackageSides['ours']): PackageRecord | undefined {
    return side.get(name) ?? [...side.values()].find((record) => record.name === name);
  }
}

const texts = (all: readonly Unmet[]): string[] => all.map(({ text }) => text);

const ARCHITECTURES_PATH = '/var/lib/dpkg/arch';

/**
 * Returns the architectures of an env: first the machine's own, which is that of the package dpkg or else the first one that
 * a package has; then the foreign ones that dpkg knows.
 */
export function architecturesIn(tree: EnvTree, ours: PackageSides['ours']): string[] {
  const foreign = tree.content(ARCHITECTURES_PATH);
  const all = [...ours.values()].map(({ architecture }) => architecture);
  const native =
    ours.get('dpkg')?.architecture ?? all.find((each) => each !== 'all' && each !== '');
  const more = (foreign ?? '').split('\n').map((line) => line.trim());
  return [...new Set([native, ...more])].filter(
    (each) => each !== undefined && each !== '',
  ) as string[];
}
