/** Captures an app template from a command, or from an env: `byref template capture`. */
import { type CaptureOutcome, captureTemplate } from '../manager/recipes/capture/capture.ts';
import { checkTarget } from '../manager/recipes/capture/check-target.ts';
import { commandSource, pinnedStack } from '../manager/recipes/capture/command-source.ts';
import { envSource } from '../manager/recipes/capture/env-source.ts';
import type { Review } from '../manager/recipes/capture/review.ts';
import type { Rules } from '../manager/recipes/capture/rules.ts';
import { needPeoplesEnv } from '../manager/sandbox/owner.ts';
import type { StoreAccess } from '../manager/sandbox/store-access.ts';
import type { OnProgress } from '../manager/templates/tree.ts';
import { type GivenTexts, givenTo } from './given.ts';
import { interruptible, type StoreSession, storeAccess } from './store-session.ts';

/** A command to run, and its stack. */
export interface CapturedCommand {
  readonly command: readonly string[];
  /** The OS template that it runs on, and apps that are there too: each NAME or NAME@VERSION. */
  readonly base: string;
  readonly apps: readonly string[];
  /** The absolute path of the directory in which it starts. */
  readonly workdir: string;
  readonly given: GivenTexts;
  readonly offline: boolean;
  /** Accept any exit status. */
  readonly ignoreStatus: boolean;
  /** The descriptor of this process that becomes its standard output. */
  readonly stdout: 1 | 2;
}

/** What to capture, and as what. */
export interface CaptureRequest {
  /** The app template's name. */
  readonly name: string;
  /** A command, or the name of an env. */
  readonly from: CapturedCommand | string;
  readonly rules: Rules;
  /** What to remember of it; null: the command. */
  readonly note: string | null;
  readonly label: string;
}

/** The caller's part in a capture. */
export interface CaptureHooks {
  readonly progress: OnProgress;
  /** Is called with remarks about what is captured, in sentences. */
  readonly note: (text: string) => void;
  /** Ends the capture when it is aborted, until the end is written. */
  readonly signal: AbortSignal;
  /** Is called when the end is written: from then on the store ensures that all or nothing happens. */
  readonly committing: () => void;
  /** Shows the capture before anything is stored, and returns whether to go on; null to store without asking. */
  readonly confirm: ((review: Review, next: number) => Promise<boolean>) | null;
}

/** Captures a version. @throws ByrefError; then the store is as before, and nothing else is left behind */
export async function captureApp(
  session: StoreSession,
  { name, from, rules, note, label }: CaptureRequest,
  hooks: CaptureHooks,
): Promise<CaptureOutcome> {
  const access = storeAccess(interruptible(session, hooks.signal));
  const { progress, signal, committing, confirm } = hooks;
  const source =
    typeof from === 'string'
      ? await fromEnv(access, name, from, rules, hooks)
      : await fromCommand(access, name, from, rules, signal);
  const parts = { ...access, progress, signal, committing, confirm };
  return captureTemplate(source, { name, rules, note, label }, parts);
}

async function fromEnv(
  access: StoreAccess,
  name: string,
  env: string,
  rules: Rules,
  { note }: CaptureHooks,
) {
  await access.read((store) =>
    checkTarget(store, name, store.resolveStack(needPeoplesEnv(store, env))),
  );
  return envSource(access, env, rules, note);
}

async function fromCommand(
  access: StoreAccess,
  name: string,
  { base, apps, given, ...command }: CapturedCommand,
  rules: Rules,
  signal: AbortSignal,
) {
  const { env, binds } = givenTo(given);
  const stack = await access.read((store) => {
    const pinned = pinnedStack(store, [base, ...apps]);
    checkTarget(store, name, pinned.refs);
    return pinned.stack;
  });
  const installer = { ...command, env, binds };
  return commandSource(access, { name, stack, installer, rules, signal });
}
