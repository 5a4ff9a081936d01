/**
 * Makes a stack of an OS template and apps look as if the apps had been installed there one after the other:
 * the files that they share are merged by key, or generated again by their command. This is done once per
 * distinct stack, and kept in the store as a composition on top of it.
 */
import { symlinkSync } from 'node:fs';
import { ByrefError } from '../../../base/error.ts';
import { failpoint } from '../../../base/failpoints.ts';
import { replaceInRoot, writeInRoot } from '../../../base/in-root.ts';
import { matchesPath } from '../../../base/path-patterns.ts';
import type { TemplateRow } from '../../../codec/store-rows.ts';
import { compositionName, plainStack } from '../../../store/compositions.ts';
import type { StackRef, Store } from '../../../store/store.ts';
import { prepared, runInside } from '../../confinement/inside.ts';
import type { GeneratedFiles } from '../../merge/generated.ts';
import { STATUS_PATH } from '../../merge/packages.ts';
import { archiveChanges, type ChangedArchive, readChanges } from '../../sandbox/changed-tree.ts';
import { interrupted } from '../../sandbox/interrupted.ts';
import { withScratchEnv } from '../../sandbox/scratch-env.ts';
import type { StoreAccess } from '../../sandbox/store-access.ts';
import { addVersion } from '../../templates/add-version.ts';
import type { CommittedVersion } from '../../templates/commit-tree.ts';
import { DEFAULT_SHARED_PATTERNS } from '../../templates/shared-path.ts';
import type { OnProgress } from '../../templates/tree.ts';
import { normaliseTimes } from '../build/rules.ts';
import { withWorkplace } from '../build/workplace.ts';
import { composedLinks, type Symlink } from './alternatives.ts';
import { checkApps } from './app-files.ts';
import { type MergedFile, mergeRegistry } from './merged-files.ts';
import { needsComposition } from './needed.ts';
import { partsOf } from './parts.ts';

interface Plan {
  readonly name: string;
  /** A description for people: "debian-12@1 + nginx@1". */
  readonly label: string;
  /** References with their versions. */
  readonly stack: readonly string[];
  readonly refs: readonly StackRef[];
  readonly files: readonly MergedFile[];
  readonly links: readonly Symlink[];
  readonly generated: readonly GeneratedFiles[];
  /** Several apps have packages, so apt is asked whether these go together. */
  readonly check: boolean;
  readonly notes: readonly string[];
}

/**
 * Makes the composition of a stack, if it needs one and has none.
 * @param stack the OS template first; a composition in it is ignored
 * @param signal ends it
 * @param progress is told what is being done, as the phase "compose"; then how its files are stored
 * @returns what an upper app decided, in sentences; none if there was nothing to do
 * @throws ByrefError 'badInput' for apps that can't be in one env; it names both, and nothing is left behind
 */
export async function compose(
  access: StoreAccess,
  stack: readonly StackRef[],
  signal: AbortSignal = new AbortController().signal,
  progress: OnProgress = () => undefined,
): Promise<readonly string[]> {
  const refs = plainStack(stack);
  const plan = await access.read((store) => planOf(store, refs));
  if (plan === null) return [];
  progress({ phase: 'compose', files: 0, bytes: 0, part: 0 });
  // Existing files keep their times; files that are written from now on get other ones (normaliseTimes).
  const startedS = Math.floor(Date.now() / 1000);
  return withWorkplace(async (dir) => {
    const failedThere = await withScratchEnv(access, { stack: plan.stack }, async (env) => {
      const root = env.mountpoint;
      for (const file of plan.files) putFile(root, file);
      for (const link of plan.links) putLink(root, link);
      const failed = await runInTree(root, plan, signal, progress);
      if (signal.aborted) throw interrupted(plan.label);
      const wanted = new Set([...plan.files, ...plan.links].map((each) => each.path));
      const isOutput = matchesPath(plan.generated.flatMap(({ outputs }) => outputs));
      const archive = await access.read((store) =>
        archiveChanges(store, env, dir, (each) => wanted.has(each) || isOutput(each)),
      );
      await access.add((store) => add(store, plan, archive, startedS, progress));
      return failed;
    });
    failpoint('composed');
    return [...plan.notes, ...failedThere];
  });
}

function add(
  store: Store,
  plan: Plan,
  archive: ChangedArchive,
  startedS: number,
  progress: OnProgress,
): Promise<CommittedVersion | null> {
  return addVersion(store, {
    template: () => store.catalog.byName(plan.name) ?? rowOf(plan),
    read: (writer) =>
      readChanges(archive, store.lowerTree(plan.refs), {
        writer,
        rule: () => 'keep',
        progress,
        finish: () => undefined,
      }),
    describe(tree) {
      normaliseTimes(tree, startedS);
      return { label: plan.label, note: '' };
    },
    onlyIfChanged: false,
    // Another process may have made it meanwhile.
    onlyFirst: true,
    progress,
  });
}

/** Returns true for a stack that needs no composition, or has it. */
export const isComposed = ({ catalog }: Store, stack: readonly StackRef[]): boolean => {
  const plain = plainStack(stack);
  return !needsComposition(catalog, plain) || catalog.byName(compositionName(plain)) !== null;
};

/**
 * Returns the registry files of a composition that is still to be made, without files that commands generate.
 * @throws ByrefError 'badInput' as compose() does, as far as that is known without installing anything
 */
export const filesToCompose = (store: Store, stack: readonly StackRef[]): readonly MergedFile[] =>
  planOf(store, plainStack(stack))?.files ?? [];

/** Plans a composition; returns null if there is nothing to do. */
function planOf(store: Store, refs: readonly StackRef[]): Plan | null {
  const name = compositionName(refs);
  if (isComposed(store, refs)) return null;
  const parts = partsOf(store, refs);
  const { os, apps } = parts;
  const { generated, notes } = checkApps(store, parts);
  const registry = mergeRegistry(store, parts);
  const stack = [os.name, ...apps.map((app) => app.name)];
  return {
    name,
    label: stack.join(' + '),
    stack,
    refs,
    files: registry.files,
    links: composedLinks(parts.lower, registry.contents),
    generated,
    check: registry.contents.has(STATUS_PATH),
    notes: [...notes, ...registry.notes],
  };
}

const rowOf = ({ name }: Plan): TemplateRow => ({
  id: 0,
  name,
  kind: 'composition',
  current: 0,
  newest: 0,
  sharedPatterns: DEFAULT_SHARED_PATTERNS,
});

/** Writes a file in place, so that it keeps its attributes. */
function putFile(root: string, { path: file, content }: MergedFile): void {
  if (content === null) replaceInRoot(root, file);
  else writeInRoot(root, file, content);
}

function putLink(root: string, { path: link, target }: Symlink): void {
  replaceInRoot(root, link, (at) => {
    if (target !== null) symlinkSync(target, at);
  });
}

/** Printed before the name of a command that failed. */
const FAILED = 'byref: failed: ';
/** Printed with a command's name before the command is run. */
const BEGINS = 'byref: begins: ';
const CHECK = 'apt-get check';

/**
 * Runs the commands in the tree. @returns what could not be generated, in sentences
 * @throws ByrefError 'badInput' for packages that do not go together
 */
async function runInTree(
  root: string,
  { generated, check, label }: Plan,
  signal: AbortSignal,
  progress: OnProgress,
): Promise<string[]> {
  const names = [...generated.map(({ name }) => name), ...(check ? [CHECK] : [])];
  const commands = generated.map(
    ({ name, needs, command }) =>
      `echo '${BEGINS}${name}'; set -- ${needs}; [ ! -e "$1" ] || (${command}) || echo '${FAILED}${name}'`,
  );
  if (check) commands.push(`echo '${BEGINS}${CHECK}'`);
  if (check) commands.push(`[ ! -x /usr/bin/apt-get ] || ${CHECK} || echo '${FAILED}${CHECK}'`);
  if (commands.length === 0) return [];
  const { code, said } = await prepared(root, [], () =>
    runInside(root, ['sh', '-c', commands.join('\n')], {
      say(line) {
        const at = line.startsWith(BEGINS) ? names.indexOf(line.slice(BEGINS.length)) : -1;
        if (at < 0) return;
        // Two more steps: the env was mounted before the commands, and is packed after them.
        const part = (at + 1) / (names.length + 2);
        progress({ phase: 'compose', files: 0, bytes: 0, part, detail: names[at]! });
      },
      signal,
      offline: true,
    }),
  );
  const failed = said
    .split('\n')
    .filter((line) => line.startsWith(FAILED))
    .map((line) => line.slice(FAILED.length));
  if (code !== 0) failed.push(`commands in the tree (${code ?? 'killed'})`);
  if (failed.includes(CHECK)) throw unmet(label, said);
  return failed.map((name) => `${label}: ${name} could not be made again`);
}

function unmet(label: string, said: string): ByrefError {
  const lines = said
    .split('\n')
    .filter((line) => /^ \S+.* : |^\s+(?:Depends|Breaks|Conflicts)/.test(line));
  const why = lines.map((line) => line.trim().replaceAll(/\s+/g, ' ')).join('; ') || said.trim();
  const message = `${label} can't be in one env: ${why}`;
  return new ByrefError(
    'badInput',
    message,
    'Leave one of the apps out, or build it again with packages that fit.',
  );
}
