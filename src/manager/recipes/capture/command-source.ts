/** Captures a command that runs in a scratch env of an OS template, with apps on top if wanted. */

import type { StackRef, Store } from '../../../store/store.ts';
import { withScratchEnv } from '../../sandbox/scratch-env.ts';
import type { StoreAccess } from '../../sandbox/store-access.ts';
import { compose } from '../compose/compose.ts';
import type { CaptureSource } from './capture.ts';
import { recordChanges } from './recording.ts';
import type { Rules } from './rules.ts';
import { type Installer, runInstaller } from './run-installer.ts';

/** The command to run, and its stack. */
export interface CommandOptions {
  readonly name: string;
  /** References with their versions: see pinnedStack. */
  readonly stack: readonly string[];
  readonly installer: Installer;
  readonly rules: Rules;
  readonly signal: AbortSignal;
}

/** A stack at certain versions. */
export interface PinnedStack {
  /** References with their versions, the OS template first. */
  readonly stack: readonly string[];
  readonly refs: readonly StackRef[];
}

/**
 * Returns a stack at the versions that are current now.
 * @throws ByrefError 'notFound', and 'usage' or 'badInput' for templates that do not form a stack
 */
export function pinnedStack(store: Store, refs: readonly string[]): PinnedStack {
  const name = 'captured';
  const plain = store.plainStack({ name, stack: store.stackOf({ name, stack: refs }) });
  const nameOf = (id: number): string => store.catalog.byId(id)?.name ?? '?';
  const stack = plain.map(({ templateId, version }) => `${nameOf(templateId)}@${version}`);
  return { stack, refs: plain };
}

/** Returns the source for a capture of a command. */
export function commandSource(
  access: StoreAccess,
  { name, stack, installer, rules, signal }: CommandOptions,
): CaptureSource {
  return {
    what: installer.command.join(' '),
    hasRunTimes: true,
    async record(dir, store) {
      if (stack.length > 2) {
        const { refs } = await access.read((open) => pinnedStack(open, stack));
        await compose(access, refs);
      }
      return withScratchEnv(access, { stack, trace: true }, async (env) => {
        await runInstaller(env.mountpoint, name, installer, signal);
        return store(await recordChanges(access, env, dir, rules));
      });
    },
  };
}
