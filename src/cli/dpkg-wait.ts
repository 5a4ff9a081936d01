/** The option `--dpkg-wait` of the commands that take envs to other versions. */
import type { Command } from 'commander';
import { EXIT } from '../base/exit-codes.ts';
import type { PatchedEnv, PatchRecord } from '../codec/patch-record.ts';
import type { BusyWaitOptions } from '../manager/rollout/busy.ts';
import type { Context } from './command.ts';
import { durationOption } from './durations.ts';
import { setExitCode } from './output.ts';
import { sayLines } from './print.ts';

const DPKG_WAIT_MS = 60_000;
const SHOWN = 5;

/** The option's value, in milliseconds. */
export interface DpkgWaitOption {
  readonly dpkgWait: number;
}

/** Adds the option to a command. */
export const dpkgWaitOption = (command: Command): Command =>
  command.addOption(
    durationOption(
      '--dpkg-wait <time>',
      'how long to wait where dpkg or apt is at work in an env',
      DPKG_WAIT_MS,
    ),
  );

/** Returns how to wait for dpkg; reports once, on stderr, which envs are waited for. */
export function dpkgWait(
  { json }: Context,
  { dpkgWait: dpkgWaitMs }: DpkgWaitOption,
): BusyWaitOptions {
  return {
    dpkgWaitMs,
    onBusy: (envs) => {
      if (json) return;
      const more = envs.length > SHOWN ? ` and ${envs.length - SHOWN} more` : '';
      sayLines(
        `byref: dpkg or apt is at work in ${envs.slice(0, SHOWN).join(', ')}${more}: waiting up to ${dpkgWaitMs / 1000} s`,
      );
    },
  };
}

/** Sets the exit code if something could not be done in some of the envs. */
export function exitFor(record: PatchRecord | null): void {
  const has = (outcome: string): boolean =>
    record?.envs.some((env) => env.outcome === outcome) ?? false;
  if (has('failed')) setExitCode(EXIT.error);
  else if (has('busy')) setExitCode(EXIT.busy);
  else if (record?.envs.some(lacksSomething)) setExitCode(EXIT.pending);
}

/** Tells whether an env did not get everything, or what it got does not fit what it has of its own. */
const lacksSomething = ({ packages = [], unmet = [] }: PatchedEnv): boolean =>
  unmet.length > 0 || packages.some(({ why }) => why === 'needed');
