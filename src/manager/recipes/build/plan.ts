/** What apt would install, as it says itself: to know without a build that there is nothing new. */
import type { VersionBase } from '../../../codec/store-rows.ts';
import type { Store } from '../../../store/store.ts';
import { type BuildConfig, configText } from './config.ts';
import { ownPackages, type Packages } from './packages.ts';

/** "Inst nginx [1.22.0] (1.22.1-9 Debian:12/stable [amd64])": one line for each package. */
const INST = /^Inst (\S+?)(?::\S+)? (?:\[\S+\] )?\((\S+)/;

/** What a version is made of, and what it was installed on. */
export interface NewestVersion {
  /** Of an app. */
  readonly base: VersionBase | null;
  readonly packages: Packages;
}

/** The newest version of what a configuration builds; null if there is none, it was built otherwise, or hooks may bring anything. */
export function newestOf(store: Store, config: BuildConfig): NewestVersion | null {
  const template = store.template(config.name);
  const version = template && store.catalog.newest(template);
  if (!template || !version || version.config !== configText(config)) return null;
  if (config.hooks.length > 0) return null;
  return { base: version.base, packages: ownPackages(store, template, version.number) };
}

/** Listens to apt-get --simulate. */
export class Plan {
  private readonly wanted = new Set<string>();

  readonly hear = (line: string): void => {
    const [, name, version] = INST.exec(line) ?? [];
    if (name !== undefined) this.wanted.add(`${name} ${version}`);
  };

  /** True if these packages are what would be installed, and all of it. */
  isOf(packages: Packages): boolean {
    const had = new Set([...packages.values()].map(({ name, version }) => `${name} ${version}`));
    const isSame = had.size === packages.size && had.size === this.wanted.size;
    return isSame && [...had].every((each) => this.wanted.has(each));
  }
}
