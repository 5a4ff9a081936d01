import { destination, pino, stdTimeFunctions } from 'pino';

/** The part of pino that byref uses; `fields` come first, as in pino. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/**
 * Opens a log that writes JSON lines to stdout. It writes at once, since the last lines before a crash matter
 * most. BYREF_LOG sets the level: debug, info (the default), warn or error.
 * @param bindings fields that every line gets
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
