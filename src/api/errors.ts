/** Errors as the API answers with them. */
import { ByrefError } from '../base/error.ts';
import type { ExitName } from '../base/exit-codes.ts';
import type { OperationError } from '../services/operation.ts';

/** An error, as the command line prints it with --json. */
export interface ErrorReply {
  readonly error: OperationError;
}

/** The status of HTTP for each kind of error. */
export const ERROR_STATUS: Readonly<Record<Exclude<ExitName, 'ok' | 'pending'>, number>> = {
  usage: 400,
  notFound: 404,
  exists: 409,
  locked: 423,
  busy: 409,
  badInput: 422,
  unhealthy: 424,
  untrusted: 424,
  error: 500,
  corrupt: 500,
  unsupported: 501,
  unreachable: 502,
  noSpace: 507,
};

/** Returns the status of HTTP for an error's code. */
export const statusOf = (code: ExitName): number =>
  code === 'ok' || code === 'pending' ? 200 : ERROR_STATUS[code];

/** Returns what an error is answered with. Anything but a ByrefError is a bug. */
export function errorReply(error: unknown): ErrorReply {
  const known =
    error instanceof ByrefError
      ? error
      : new ByrefError(
          'error',
          error instanceof Error ? error.message : String(error),
          'This is a bug in byref: please report it with the log of the daemon.',
        );
  const { code, exitCode, message, hint } = known;
  return { error: { code, exitCode, message, hint } };
}

/** Returns the error that a command printed last with --json; null if it printed none. */
export function errorIn(stderr: string): ErrorReply | null {
  const line = stderr
    .trimEnd()
    .split('\n')
    .findLast((each) => each.startsWith('{"error":'));
  return line === undefined ? null : (JSON.parse(line) as ErrorReply);
}
