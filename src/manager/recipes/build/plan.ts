/** Learns from apt's simulation what it would install, to find out without a build that nothing is new. */
import type { VersionBase } from '../../../codec/store-rows.ts';
import type { Store } from '../../../store/store.ts';
import { type BuildConfig, configText } from './config.ts';
import { ownPackages, type Packages } from './packages.ts';

/** A line for one package: "Inst nginx [1.22.0] (1.22.1-9 Debian:12/stable [amd64])". */
const INST = /^Inst (\S+?)(?::\S+)? (?:\[\S+\] )?\((\S+)/;

/** The packages of a version, and what it was installed on. */
export interface NewestVersion {
  /** The version that an app was installed on. */
  readonly base: VersionBase | null;
  readonly packages: Packages;
}

/**
 * Returns the newest version that this configuration built. Null if there is none, if it was built with another
 * configuration, or if hooks may change anything.
 */
export function newestOf(store: Store, config: BuildConfig): NewestVersion | null {
  const template = store.template(config.name);
  const version = template && store.catalog.newest(template);
  if (!template || !version || version.config !== configText(config)) return null;
  if (config.hooks.length > 0) return null;
  return { base: version.base, packages: ownPackages(store, template, version.number) };
}

/** The packages that apt-get --simulate would install; `hear` takes its lines. */
export class Plan {
  private readonly wanted = new Set<string>();

  readonly hear = (line: string): void => {
    const [, name, version] = INST.exec(line) ?? [];
    if (name !== undefined) this.wanted.add(`${name} ${version}`);
  };

  /** Returns true if exactly these packages would be installed. */
  isOf(packages: Packages): boolean {
    const had = new Set([...packages.values()].map(({ name, version }) => `${name} ${version}`));
    const isSame = had.size === packages.size && had.size === this.wanted.size;
    return isSame && [...had].every((each) => this.wanted.has(each));
  }
}
