import { destination, pino, stdTimeFunctions } from 'pino';

/** The part of pino that byref uses; `fields` first, as pino has it. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/**
 * JSON lines on stdout, written at once: the last lines before a crash are the ones that matter.
 * Level from BYREF_LOG (debug, info, warn, error), info unless told.
 */
export function openLog(bindings: Record<string, unknown>): Log {
  return pino(
    {
      level: process.env['BYREF_LOG'] ?? 'info',
      base: { pid: process.pid, ...bindings },
      timestamp: stdTimeFunctions.isoTime,
    },
    destination({ fd: 1, sync: true }),
  );
}
