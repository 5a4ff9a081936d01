/** Makes what an installer, or an env, wrote a version of an app template: `byref template capture`. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../../base/error.ts';
import type { TemplateRow, VersionRow } from '../../../codec/store-rows.ts';
import { ObjectWriter } from '../../../store/object-writer.ts';
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

/** The source of a capture: commandSource or envSource. */
export interface CaptureSource {
  /** A description, such as "make install". */
  readonly what: string;
  /** True if its files have the times of this very run, which are then replaced (normaliseTimes). */
  readonly hasRunTimes: boolean;
  /**
   * Records the changes.
   * @param dir for what it makes
   * @param store makes a version of the recording; its base stays in use until then
   */
  readonly record: <T>(dir: string, store: (recording: Recording) => Promise<T>) => Promise<T>;
}

/** The wanted template, and rules for its content. */
export interface CaptureOptions {
  readonly name: string;
  readonly rules: Rules;
  readonly note: string | null;
  readonly label: string;
}

/** The caller's part in a capture: access to the store, callbacks, a signal. */
export interface CaptureParts extends StoreAccess {
  readonly progress: OnProgress;
  /** Ends the capture when it is aborted, until the end is written. */
  readonly signal: AbortSignal;
  /** Called when the end is written: from then on the store ensures that all or nothing happens. */
  readonly committing: () => void;
  /** Shows the capture before anything is stored, and returns whether to go on; null to store without asking. */
  readonly confirm: ((review: Review, next: number) => Promise<boolean>) | null;
}

/** The outcome of a capture. */
export interface CaptureOutcome {
  /** unchanged: it would be the newest version again. declined: `confirm` said no. */
  readonly end: 'stored' | 'unchanged' | 'declined';
  /** null if the template does not exist yet. */
  readonly template: TemplateRow | null;
  /** null unless it was stored. */
  readonly version: VersionRow | null;
  readonly review: Review;
}

/** Captures a version. @throws ByrefError; then the store is as before, and nothing else is left behind */
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

/**
 * Makes the same tree for a review, with its new files in the workplace: while a person reads, others may write
 * to the store.
 */
async function reviewBefore(
  recording: Recording,
  { name, rules }: CaptureOptions,
  now: number,
  dir: string,
  { read, progress }: CaptureParts,
): Promise<Review> {
  return read(async (store) => {
    const objects = store.objectsAt(path.join(dir, 'objects'));
    mkdirSync(objects.unfinishedDir, { recursive: true });
    const writer = await ObjectWriter.begin(objects);
    const below = store.lowerTree(recording.stack);
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
  const below = store.lowerTree(recording.stack);
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
