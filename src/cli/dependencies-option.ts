/** The option `--dependencies` of the commands that take envs to other versions. */
import type { Command } from 'commander';
import type { Policy } from '../codec/patch-record.ts';
import { dependencyPolicy } from '../manager/rollout/dependency-policy.ts';

/** The option's value. */
export interface DependenciesOption {
  /** In the order of the command line. */
  readonly dependencies?: readonly Policy[];
}

/** Adds the option to a command. */
export const dependenciesOption = (command: Command): Command =>
  command.option(
    '--dependencies <policy>',
    'where packages of an env’s own would not fit any more: complete (the default: apt brings them along in the env; where it can’t, keep), keep (what they need stays as it is) or follow; ENV=POLICY for one env',
    (text: string, before: readonly Policy[] | undefined) => [
      ...(before ?? []),
      dependencyPolicy(text),
    ],
  );

/** Returns the policies that the option gave. */
export const policiesOf = ({ dependencies = [] }: DependenciesOption): readonly Policy[] =>
  dependencies;
