/** Determines which sources and pins apt gets from a configuration, for the build and for the apt in the template. */
import { ByrefError } from '../../../base/error.ts';
import { readGivenBytes } from '../../../base/given-files.ts';
import { type AptSource, embeddedKey, sourcesFor, UPDATES } from './apt-sources.ts';
import type { BuildConfig, Pin, SourceConfig } from './config.ts';

/**
 * Tells whether the address has a release file for the suite. @throws ByrefError 'unreachable' if that can't be
 * determined
 */
export type HasSuite = (address: string, suite: string) => Promise<boolean>;

/** Returns the sources that an app's configuration names itself, each with its repository. */
export function ownSources(config: BuildConfig): AptSource[] {
  const { repository, suite, components, keyring } = config;
  const first =
    repository === null ? [] : [sourceOf({ repository, suites: [suite], components, keyring })];
  return [...first, ...config.sources.map((each) => furtherSource(each, first, suite))];
}

/**
 * Returns the sources of an OS: those of the suite, with its updates, and further ones from the configuration.
 * @throws ByrefError 'badInput' if no source of the suite is known; whatever `hasSuite` throws
 */
export async function systemSources(config: BuildConfig, hasSuite: HasSuite): Promise<AptSource[]> {
  const { repository, suite, components, keyring, updates } = config;
  const { sources, isOwn } =
    repository === null
      ? sourcesFor(config)
      : {
          sources: withUpdates({ repository, suites: [suite], components, keyring }),
          isOwn: false,
        };
  const wanted = updates
    ? sources
    : sources.flatMap((source) => only(source, (each) => each === suite));
  const there = isOwn ? wanted : await existing(wanted, suite, hasSuite);
  return [...there, ...config.sources.map((each) => furtherSource(each, there, suite))];
}

/**
 * Adds the updates of suites. Debian has -updates beside the suite, and -security in a repository beside that
 * of the suite; other distributions have both beside the suite.
 */
function withUpdates(source: SourceConfig & { readonly repository: string }): AptSource[] {
  const { repository, suites } = source;
  const address = repository.replace(/\/+$/, '');
  const further = UPDATES.flatMap((part) => suites.map((suite) => suite + part));
  const security = suites.map((suite) => `${suite}-security`);
  const hasPath = /^[a-z]+:\/\/[^/]*\/./.test(address);
  return [
    sourceOf(source),
    sourceOf({ ...source, suites: further }),
    ...(hasPath
      ? [sourceOf({ ...source, repository: `${address}-security`, suites: security })]
      : []),
  ];
}

/** Leaves out updates that do not exist. The suite itself stays: if it is missing, apt reports that. */
async function existing(
  sources: readonly AptSource[],
  suite: string,
  hasSuite: HasSuite,
): Promise<AptSource[]> {
  const found: AptSource[] = [];
  for (const source of sources) {
    const there = new Set<string>();
    for (const each of source.suites) {
      if (each === suite || (await hasSuite(source.uris[0] ?? '', each))) there.add(each);
    }
    found.push(...only(source, (each) => there.has(each)));
  }
  return found;
}

function only(source: AptSource, isWanted: (suite: string) => boolean): AptSource[] {
  const suites = source.suites.filter(isWanted);
  return suites.length === 0 ? [] : [{ ...source, suites }];
}

/** Returns a further source. @param first those of the suite: a source without a repository uses theirs */
function furtherSource(
  further: SourceConfig,
  first: readonly AptSource[],
  suite: string,
): AptSource {
  const { repository, suites, components, keyring } = further;
  if (repository !== null) return sourceOf({ ...further, repository });
  const like = first.find((each) => each.suites.includes(suite)) ?? first[0];
  if (like === undefined) {
    const message = `sources: ${suites.join(' ')}: no repository is named, and there is none of the suite`;
    throw new ByrefError('badInput', message, 'Give each source its repository.');
  }
  return { ...like, suites, components, ...(keyring === null ? {} : keyOf(keyring)) };
}

const sourceOf = ({
  repository,
  suites,
  components,
  keyring,
}: SourceConfig & { readonly repository: string }): AptSource => ({
  uris: [repository],
  ...{ suites, components, architectures: [] },
  ...keyOf(keyring),
  others: new Map(),
});

/** Embeds the key itself: its path would mean nothing in the tree, where apt must trust the repository, too. */
const keyOf = (keyring: string | null): { readonly signedBy: string } => ({
  signedBy: keyring === null ? '' : embeddedKey(readKeyring(keyring)),
});

function readKeyring(file: string): Buffer {
  try {
    return readGivenBytes(file, 'Name the public key of the repository.');
  } catch (cause) {
    if (!(cause instanceof ByrefError)) throw cause;
    throw new ByrefError('badInput', `keyring: ${cause.message}`, cause.hint, { cause });
  }
}

/** Returns the content of an apt_preferences(5) file. */
export const pinsText = (pins: readonly Pin[]): string =>
  pins
    .map(
      ({ packages, pin, priority }) =>
        `Package: ${packages.join(' ')}\nPin: ${pin}\nPin-Priority: ${priority}\n`,
    )
    .join('\n');

/** Returns the directories of this machine that contain repositories. */
export function directoriesOf({ repository, sources }: BuildConfig): string[] {
  const all = [repository, ...sources.map((each) => each.repository)];
  const directories = all.flatMap((each) => {
    const [, directory] = /^(?:file|copy):(?:\/\/)?(\/.*)$/.exec(each ?? '') ?? [];
    return directory === undefined ? [] : [directory];
  });
  return [...new Set(directories)];
}
