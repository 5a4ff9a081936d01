/**
 * What a step to another stack of templates does to the dependencies between packages of an env's own and those that follow. apt is the
 * judge (apt-judge.ts), of the records as they would be after the step; here is decided only which packages stay for others.
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

/** What becomes of an env's packages at one step. */
export interface PackageVerdict {
  /** Those that stay the env's own, by key; also those that stay for others. */
  readonly own: ReadonlyMap<string, OwnPackage>;
  /** Keys of packages that were kept for others, or were held, and follow again. */
  readonly released: ReadonlySet<string>;
  /** What is not met after the step and was met before, in apt's words. */
  readonly unmet: readonly string[];
  /** Why apt could not be asked, in a sentence; null: it was, or there was nothing to ask. */
  readonly unable: string | null;
  /** The env's packages as they are. */
  readonly ours: PackageSides['ours'];
  /** And after the step. */
  readonly after: readonly PackageRecord[];
  /** Names of those of them that are as the templates have them. */
  readonly following: ReadonlySet<string>;
}

export interface DependencySides extends PackageSides {
  /** Names of packages that follow although they are the env's own. */
  readonly taken: ReadonlySet<string>;
  /** dpkg's: the machine's own first. */
  readonly architectures: readonly string[];
  /** True for a package that the env has otherwise than its templates by no doing of its own. */
  isFormer(template: PackageRecord | null, mine: PackageRecord | null): boolean;
}

/** So many times packages are added to those that stay; then all that the step changes stay. */
const ROUNDS_MAX = 20;

/** Decides about all packages of one env. Asks apt only where the env has packages that the templates do not have so. */
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
    // One that the templates have dropped, and that was kept for another package.
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

  /** An env that has all packages as its templates have them depends on nothing but them. */
  private hasOwn(): boolean {
    const { base, ours, theirs } = this.sides;
    if (this.own.size > 0 || this.released.size > 0) return true;
    return [...ours].some(([key, each]) => isPresent(each) && !base.has(key) && !theirs.has(key));
  }

  /** What is not met after the step, and was met before. */
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

  /** Keys of packages of which the step changes what they are in the env. */
  private moving(): string[] {
    const { ours } = this.sides;
    return this.keys.filter((key) => {
      const [mine, after] = [ours.get(key), this.recordAfter(key)];
      return statusOf(mine ? [mine] : []) !== statusOf(after ? [after] : []);
    });
  }

  /** Adds the packages that have a part in it; false if none of them moves. */
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

  /** True for the package of that name, and for one that provides it before or after the step. */
  private isMeant(key: string, name: string): boolean {
    const { ours, theirs } = this.sides;
    return [ours.get(key), theirs.get(key)].some((record) => {
      if (record === undefined) return false;
      if (record.name === name) return true;
      const provided = fieldOf(record.stanza, 'Provides') ?? '';
      return provided.split(',').some((each) => each.trim().split(/[\s(]/)[0] === name);
    });
  }

  /** False if there is nothing more to keep. */
  private keepAll([first]: readonly Unmet[]): boolean {
    const moving = this.moving().filter((key) => !this.own.has(key));
    for (const key of moving) this.keep(key, first?.names ?? []);
    return moving.length > 0;
  }

  /** @param names of the packages of which it is one */
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

  /** The package of the env's own that it stays for: "libx-dev 1". */
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

/** The machine's own architecture, as dpkg's package says or most packages have it, and those that its dpkg knows beside it. */
export function architecturesOf(ours: PackageSides['ours'], foreign: string | null): string[] {
  const all = [...ours.values()].map(({ architecture }) => architecture);
  const native =
    ours.get('dpkg')?.architecture ?? all.find((each) => each !== 'all' && each !== '');
  const more = (foreign ?? '').split('\n').map((line) => line.trim());
  return [...new Set([native, ...more])].filter(
    (each) => each !== undefined && each !== '',
  ) as string[];
}
