/** Runs `byref template capture`, from its options to what it prints. */
import path from 'node:path';
import { ByrefError } from '../base/error.ts';
import { EXIT } from '../base/exit-codes.ts';
import { readGivenFile } from '../base/given-files.ts';
import type { Review } from '../manager/recipes/capture/review.ts';
import { DEFAULT_RULES, type Rules } from '../manager/recipes/capture/rules.ts';
import { parseRules } from '../manager/recipes/capture/rules-file.ts';
import { captureResult } from '../services/capture-result.ts';
import { type CaptureRequest, captureApp } from '../services/capture-template.ts';
import { ask } from './ask.ts';
import { reviewText, summaryText } from './capture-text.ts';
import { type Context, contextOf } from './command.ts';
import type { GivenOptions } from './given.ts';
import { interruption } from './interruption.ts';
import { setExitCode } from './output.ts';
import { printLines } from './print.ts';
import { Progress } from './progress.ts';
import { sessionOf } from './session.ts';
import { printResult } from './table.ts';

/** The options of the command. */
export interface CaptureCliOptions extends GivenOptions {
  readonly base?: string;
  readonly app?: readonly string[];
  readonly fromEnv?: string;
  readonly workdir: string;
  readonly offline?: boolean;
  readonly ignoreStatus?: boolean;
  readonly rules?: string;
  readonly keepPasswords?: boolean;
  readonly review?: boolean;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly verbose?: boolean;
  readonly note?: string;
  readonly label?: string;
}

const HINT = 'byref template capture NAME --base OS -- COMMAND, or NAME --from-env ENV';

const usage = (message: string): ByrefError => new ByrefError('usage', message, HINT);

/** Captures an app from a command or an env, and prints what came of it. */
export async function runCapture(
  name: string | undefined,
  words: readonly string[],
  options: CaptureCliOptions,
): Promise<void> {
  if (name === undefined) throw usage('no name of a template was given');
  const context = contextOf(options);
  const { keepPasswords = false, review = false, dryRun = false } = options;
  const rules = { ...readRules(options.rules), keepPasswords };
  const { signal, release } = interruption();
  const progress = new Progress({ json: context.json });
  const from = sourceOf(words, options, context);
  const outcome = await captureApp(
    sessionOf(context),
    { name, from, rules, note: options.note ?? null, label: options.label ?? '' },
    {
      signal,
      committing: release,
      progress: progress.update,
      note: (text) => progress.note(`byref: ${text}`),
      confirm: confirmation(name, options, context, signal, progress),
    },
  ).finally(() => progress.end());
  if (context.json) printResult('template capture', captureResult(outcome, review || dryRun));
  else printLines(...summaryText(outcome));
  if (outcome.end === 'declined' && !dryRun) setExitCode(EXIT.pending);
}

/** Returns the command, or the name of the env, that is to be captured. @throws ByrefError 'usage' */
function sourceOf(
  command: readonly string[],
  options: CaptureCliOptions,
  { json }: Context,
): CaptureRequest['from'] {
  const { base, app: apps = [], fromEnv, workdir, offline = false, ignoreStatus = false } = options;
  if (fromEnv !== undefined) {
    refuseOptionsOfCommands(command, options);
    return fromEnv;
  }
  if (command.length === 0) throw usage('neither a command nor --from-env was given');
  if (base === undefined) throw usage('--base was not given: what the command is to run on');
  if (!path.isAbsolute(workdir)) throw usage(`--workdir ${workdir} is not absolute`);
  const stdout = json ? 2 : 1;
  return { command, base, apps, workdir, given: options, offline, ignoreStatus, stdout };
}

function refuseOptionsOfCommands(command: readonly string[], options: CaptureCliOptions): void {
  if (command.length > 0) throw usage('a command and --from-env were given; one is enough');
  const { base, app, bind, env, offline, ignoreStatus } = options;
  const given = Object.entries({ base, app, bind, env, offline, 'ignore-status': ignoreStatus });
  const [first] = given.filter(([, value]) => value !== undefined);
  if (first === undefined) return;
  throw usage(`--${first[0]} is for a command; an env has its own templates, and has changed`);
}

function readRules(file: string | undefined): Rules {
  if (file === undefined) return DEFAULT_RULES;
  const hint = 'Begin with what byref template capture --show-rules prints.';
  return parseRules(readGivenFile(file, hint), file);
}

/** Returns the question to be asked before the capture is stored; null if there is none. */
function confirmation(
  name: string,
  { review = false, yes = false, dryRun = false, verbose = false }: CaptureCliOptions,
  { json }: Context,
  signal: AbortSignal,
  progress: Progress,
): ((review: Review, next: number) => Promise<boolean>) | null {
  if (!review && !dryRun) return null;
  return async (what, next) => {
    progress.end();
    if (!json) printLines(...reviewText(what, verbose));
    if (dryRun || yes || json) return yes && !dryRun;
    return ask(`Store it as ${name}@${next}?`, signal);
  };
}
