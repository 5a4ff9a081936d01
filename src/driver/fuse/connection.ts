import type { FileSystem } from '../core/api.ts';
import type { Granted } from './init.ts';

/** What a handler sees of its session. */
export interface Connection {
  readonly fs: FileSystem;
  readonly granted: Granted;
  /** How long the kernel may keep names and attributes. */
  readonly cacheSeconds: number;
  /**
   * Answers when `promise` settles: `encode` then fills the reply and returns as a handler does.
   * Returns NO_REPLY, for the handler to return.
   */
  later<T>(promise: Promise<T>, encode: (value: T) => number): number;
  /** The request with this id got a signal. */
  interrupted(id: number): void;
}

/**
 * Handles the request in the shared buffer: fills the reply's body and returns the reply's length in
 * bytes with its header, or -errno, or NO_REPLY.
 */
export type Handler = (c: Connection) => number;

export const NO_REPLY = 0;
