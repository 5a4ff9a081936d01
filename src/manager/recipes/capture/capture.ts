/** `byref template capture`: what an installer, or an env, wrote becomes a version of an app template. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../../base/error.ts';
import type { TemplateRow, VersionRow } from '../../../codec/store-rows.ts';
import { ObjectWriter } from '../../../store/object-writer.ts';
import { ObjectFiles } from '../../../store/objects.ts';
import type { StackRef, Store } from '../../../store/store.ts';
import { interrupted } from '../../sandbox/interrupted.ts';
import type { StoreAccess } from '../../sandbox/store-access.ts';
import { addVersion } from '../../templates/add-version.ts';
import { withName } from '../../templates/claim-name.ts';
import { templateFor } from '../../templates/import.ts';
import type { OnProgress } from '../../templates/tree.ts';
import { normaliseTimes } from '../build/rules.ts';
import { addRunDirs } from '../build/run-dirs.ts';
import { withWorkplace } from '../build/workplace.ts';
import { asFull, type Recording } from './recording.ts';
import { type Review, reviewOf } from './review.ts';
import type { Rules } from './rules.ts';
import { readRecording } from './tree.ts';

/** What is captured: see commandSource and envSource. */
export interface CaptureSource {
  /** Such as "make install". */
  readonly what: string;
  /** Its files have the times of this very run, and get others: see normaliseTimes. */
  readonly hasRunTimes: boolean;
  /**
   * @param dir for what it makes
   * @param store makes a version of it: what it was recorded on stays until then
   */
  readonly record: <T>(dir: string, store: (recording: Recording) => Promise<T>) => Promise<T>;
}

export interface CaptureOptions {
  readonly name: string;
  readonly rules: Rules;
  readonly note: string | null;
  readonly label: string;
}

export interface CaptureParts extends StoreAccess {
  readonly progress: OnProgress;
  /** Ends it, before the end is written. */
  readonly signal: AbortSignal;
  /** Called when the end is written: from then on the store sees to it that all or nothing happens. */
  readonly committing: () => void;
  /** Looks at it before anything is stored, and says whether to go on; null: nobody wants to. */
  readonly confirm: ((review: Review, next: number) => Promise<boolean>) | null;
}

export interface CaptureOutcome {
  /** unchanged: it would be the newest version again. declined: whoever looked at it did not want it. */
  readonly end: 'stored' | 'unchanged' | 'declined';
  /** Null: there is none yet. */
  readonly template: TemplateRow | null;
  /** Null unless it is stored. */
  readonly version: VersionRow | null;
  readonly review: Review;
}

/** @throws ByrefError; then the store is as before, and nothing else is left */
export async function captureTemplate(
  source: CaptureSource,
  options: CaptureOptions,
  parts: CaptureParts,
): Promise<CaptureOutcome> {
  const startedS = source.hasRunTimes ? Math.floor(Date.now() / 1000) : Number.MAX_SAFE_INTEGER;
  const { name } = options;
  const refuseIfAborted = (): void => {
    if (parts.signal.aborted) throw interrupted(`${name} was not captured`);
  };
  const storeOf = async (dir: string, recording: Recording): Promise<CaptureOutcome> => {
    refuseIfAborted();
    if (parts.confirm !== null) {
      const review = await reviewBefore(recording, options, startedS, dir, parts);
      const template = await parts.read((store) => store.template(name));
      const wanted = await parts.confirm(review, (template?.newest ?? 0) + 1);
      if (!wanted) return { end: 'declined', template, version: null, review };
      refuseIfAborted();
    }
    parts.committing();
    return parts.add((store) => add(store, recording, source, options, startedS, parts));
  };
  const inWorkplace = () =>
    withWorkplace((dir) =>
      source.record(path.join(dir, 'recording'), (recording) => storeOf(dir, recording)),
    );
  const root = await parts.read((store) => store.root);
  return withName(root, name, 'app', inWorkplace);
}

/** The same tree, with its new files in the workplace: while a person reads, the store is others' to write. */
async function reviewBefore(
  recording: Recording,
  { name, rules }: CaptureOptions,
  now: number,
  dir: string,
  { read, progress }: CaptureParts,
): Promise<Review> {
  return read(async (store) => {
    const objects = new ObjectFiles(path.join(dir, 'objects'), store.tables);
    mkdirSync(objects.unfinishedDir, { recursive: true });
    const writer = await ObjectWriter.begin(objects);
    const below = store.layers(recording.stack);
    const parts = { name, rules, below, writer, progress, now };
    try {
      const made = await readRecording(store, recording, parts);
      refuseNothing(made.captured.length, name);
      return reviewOf(store, made, recording);
    } catch (cause) {
      throw asFull(cause, dir);
    } finally {
      await writer.discard();
    }
  });
}

async function add(
  store: Store,
  recording: Recording,
  { what }: CaptureSource,
  { name, rules, note, label }: CaptureOptions,
  startedS: number,
  { progress }: CaptureParts,
): Promise<CaptureOutcome> {
  const [base, ...apps] = recording.stack.filter(({ composition }) => composition !== true);
  const below = store.layers(recording.stack);
  let review: Review | null = null;
  const added = await addVersion(store, {
    template: () => templateFor(store, name, { kind: 'app' }),
    read: async (writer) => {
      const parts = { name, rules, below, writer, progress, now: startedS };
      const made = await readRecording(store, recording, parts);
      refuseNothing(made.captured.length, name);
      review = reviewOf(store, made, recording);
      return made.tree;
    },
    describe(tree) {
      addRunDirs(store, tree, below);
      normaliseTimes(tree, startedS);
      return {
        label,
        note: note ?? noteOf(store, what, apps),
        base: { templateId: base!.templateId, version: base!.version },
      };
    },
    onlyIfChanged: true,
    progress,
  });
  return added === null
    ? {
        end: 'unchanged',
        template: store.catalog.withNewest(store.template(name)!),
        version: null,
        review: review!,
      }
    : { end: 'stored', ...added, review: review! };
}

function noteOf(store: Store, what: string, apps: readonly StackRef[]): string {
  const names = apps.map((ref) => store.catalog.refName(ref));
  return `captured: ${what}${names.length === 0 ? '' : `; on ${names.join(', ')}`}`;
}

function refuseNothing(count: number, name: string): void {
  if (count > 0) return;
  throw new ByrefError(
    'badInput',
    `nothing was written that could be stored as ${name}`,
    'What the rules take out does not count: see byref template capture --show-rules.',
  );
}
