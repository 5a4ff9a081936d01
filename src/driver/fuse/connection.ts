import type { FileSystem } from '../core/api.ts';
import type { Granted } from './init.ts';

/** A session as its handlers see it. */
export interface Connection {
  readonly fs: FileSystem;
  readonly granted: Granted;
  /** How long the kernel may keep names and attributes, in seconds. */
  readonly cacheSeconds: number;
  /**
   * Answers when `promise` settles: `encode` then fills the reply and returns as a handler does. Returns NO_REPLY,
   * for the handler to return.
   */
  later<T>(promise: Promise<T>, encode: (value: T) => number): number;
  /** Says that the caller of the request with this id got a signal. */
  interrupted(id: number): void;
}

/**
 * Handles the request in the shared buffer and fills the reply's body. Returns the reply's length in bytes
 * including its header, or -errno, or NO_REPLY.
 */
export type Handler = (c: Connection) => number;

/** The result of a handler that sends no reply, or none yet. */
export const NO_REPLY = 0;
