import { randomBytes } from 'node:crypto';
import { constants } from 'node:os';
import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { createEnv } from '../../services/create-env.ts';
import { removeEnv } from '../../services/destroy-env.ts';
import { killEnv } from '../../services/kill-env.ts';
import { type StartedEnv, type StartOptions, startEnv, stopEnv } from '../../services/start-env.ts';
import type { EnvRow, Store } from '../../store/store.ts';
import { type Context, contextOf, defineWaiting, defineWrapper } from '../command.ts';
import {
  commandWords,
  type ExecWords,
  execOptions,
  PASSED,
  refuseNoTerminal,
  runInEnv,
} from '../exec-run.ts';
import { printNotes } from '../notes.ts';
import { output, setExitCode } from '../output.ts';
import { printLines } from '../print.ts';
import { append } from '../repeated.ts';
import { withStore } from '../session.ts';
import {
  type PlaceOptions,
  placeOptions,
  placesGiven,
  settingOptions,
  settingsGiven,
} from '../setting-options.ts';
import { startHooks } from '../start-hooks.ts';
import { printResult } from '../table.ts';

interface Options extends ExecWords, PlaceOptions {
  readonly app: readonly string[];
  readonly name?: string;
  readonly rm?: boolean;
  readonly detach?: boolean;
  readonly publish: readonly string[];
  readonly set: readonly string[];
}

/** Defines the command `byref run`. */
export default function build(): Command {
  const command = defineWaiting(
    'run <template> [command...]',
    'Make an env, start it with a command as its first process, and wait for that.',
  )
    .option('--app <template>', 'an app template on top; may be repeated', append, [])
    .option('--name <env>', 'the name of the env (run-...)')
    .option('--rm', 'destroy it afterwards')
    .option('-d, --detach', 'do not wait; the output goes to byref logs')
    .option('-p, --publish <port>', 'as docker run: 8080:80; may be repeated', append, [])
    .option('--set <key=value>', 'as byref set; may be repeated', append, []);
  return defineWrapper(placeOptions(settingOptions(execOptions(command)))).action(
    async (template: string, given: string[], options: Options) => {
      const words = commandWords(given);
      const context = contextOf(options);
      refuseMixed(options);
      if (options.tty) setExitCode(await onTerminal(context, template, words, options));
      else await asFirst(context, template, words, options);
    },
  );
}

function refuseMixed({ detach, rm, tty = false }: Options): void {
  refuseNoTerminal(tty);
  if (!detach || !(rm || tty)) return;
  const message = `--detach does not go with ${rm ? '--rm' : '--tty'}`;
  throw new ByrefError('usage', message, 'Leave one of them out.');
}

/** The env that was made, and its start. */
interface Begun extends StartedEnv {
  readonly row: EnvRow;
}

/** Makes the env and starts it; one that can't be started is destroyed, since it holds nothing yet. */
async function begin(
  context: Context,
  os: string,
  options: Options,
  how: StartOptions,
): Promise<Begun> {
  const made: { row?: EnvRow } = {};
  try {
    return await withStore(context, 'write', async (store) => {
      const row = await create(store, os, options);
      made.row = row;
      store.doneWriting();
      return { row, ...(await startEnv(store, row, how, startHooks(context))) };
    });
  } catch (error) {
    if (made.row !== undefined) await end(context, made.row, true);
    throw error;
  }
}

async function create(store: Store, os: string, options: Options): Promise<EnvRow> {
  const { app: apps, name = `run-${randomBytes(4).toString('hex')}` } = options;
  const { publish, set, volume: volumes = [] } = options;
  const ports = publish.length > 0 ? [`ports=${publish.join(',')}`] : [];
  const settings = [...(await settingsGiven(options)), ...placesGiven(options), ...set, ...ports];
  const { row, notes } = await createEnv(store, {
    ...{ name, os, apps, settings, volumes },
    refusedNeeds: options.refuseNeeds ? null : (options.refuse ?? []),
  });
  printNotes(notes);
  return row;
}

/** Runs the command as the first process. */
async function asFirst(
  context: Context,
  os: string,
  words: readonly string[],
  options: Options,
): Promise<void> {
  const { detach = false, rm = false, env } = options;
  let row: EnvRow;
  const passing = detach ? null : new Passing();
  try {
    const begun = await begin(context, os, options, {
      ...(words.length > 0 && { init: words }),
      ...(env !== undefined && { environment: env }),
      output: detach ? 'log' : (output().foreground ?? 'inherit'),
    });
    row = begun.row;
    const { started, ended } = begun;
    if (detach) {
      if (context.json) printResult('run', started);
      else printLines(row.name);
      return;
    }
    passing?.to(context, row);
    setExitCode((await ended)?.code ?? 1);
  } finally {
    passing?.end();
  }
  await end(context, row, rm);
}

/** Passes signals on to the first process; those that come before it is there wait for it. */
class Passing {
  private readonly handlers = new Map<NodeJS.Signals, () => void>();
  private readonly waiting: number[] = [];
  private pass: ((signal: number) => void) | null = null;

  constructor() {
    const take = (signal: number): void =>
      this.pass === null ? void this.waiting.push(signal) : this.pass(signal);
    const { foreground } = output();
    foreground?.onSignal(take);
    if (foreground !== null) return;
    for (const name of PASSED) {
      const handle = (): void => take(constants.signals[name]);
      this.handlers.set(name, handle);
      process.on(name, handle);
    }
  }

  /** Begins to pass them on. */
  to(context: Context, row: EnvRow): void {
    const pass = (signal: number): void => {
      withStore(context, 'read', (store) => killEnv(store, row, signal)).catch(
        // It has ended just now.
        () => undefined,
      );
    };
    this.pass = pass;
    for (const signal of this.waiting.splice(0)) pass(signal);
  }

  end(): void {
    for (const [name, handle] of this.handlers) process.off(name, handle);
  }
}

/** Runs the command on our terminal, beside a first process that only waits. */
async function onTerminal(
  context: Context,
  os: string,
  words: readonly string[],
  options: Options,
): Promise<number> {
  const { row } = await begin(context, os, options, {});
  const command = words.length > 0 ? words : ['/bin/sh', '-l'];
  return runInEnv(context, row.name, command, options).finally(() =>
    end(context, row, options.rm ?? false),
  );
}

/** Stops the env, and destroys it if that is wanted. */
async function end(context: Context, row: EnvRow, destroy: boolean): Promise<void> {
  const { patience } = context;
  if (!destroy) {
    await withStore(context, 'read', (store) => stopEnv(store, row, { timeoutMs: 0 }, patience));
    return;
  }
  await withStore(context, 'write', (store) =>
    removeEnv(store, needPeoplesEnv(store, row.name), true, patience),
  );
}
