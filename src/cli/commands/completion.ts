import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';
import { lookUp } from '../../base/look-up.ts';
import { define } from '../command.ts';
import { bashScript, fishScript, zshScript } from '../completion-scripts.ts';
import { printOwn } from '../print.ts';

const SCRIPTS: Readonly<Record<string, () => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** Defines the command `byref completion`. */
export default function build(): Command {
  return define('completion <shell>', 'Print a completion script: bash, zsh or fish.').action(
    (shell: string) => {
      const script = lookUp(SCRIPTS, shell);
      if (!script)
        throw new ByrefError('usage', `no such shell: ${shell}`, 'Use bash, zsh or fish.');
      printOwn(script());
    },
  );
}
