import { EXIT, type ExitName } from './exit-codes.ts';

/**
 * An error that a person can act on: what happened, and what to do. `code` is stable and goes to `--json`
 * and, by EXIT, to the exit code. Anything else that is thrown is a bug, and prints a stack.
 */
export class ByrefError extends Error {
  readonly code: ExitName;
  readonly hint: string;
  /** The lines of the message. A newline that is part of a name does not begin another one. */
  readonly lines: readonly string[];

  /**
   * @param code which exit code, by name
   * @param message one sentence: what is wrong, with the name or path it is about; or several lines
   * @param hint one sentence: what to do about it
   */
  constructor(
    code: ExitName,
    message: string | readonly string[],
    hint: string,
    options?: ErrorOptions,
  ) {
    const lines = typeof message === 'string' ? [message] : message;
    super(lines.join('\n'), options);
    this.lines = lines;
    this.name = 'ByrefError';
    this.code = code;
    this.hint = hint;
  }

  get exitCode(): number {
    return EXIT[this.code];
  }
}
