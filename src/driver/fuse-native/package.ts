import { createRequire } from 'node:module';
import { ByrefError } from '../../base/error.ts';

/** Ends a request: with an errno or a count first, then with what the operation returns. */
export type Signal = (result: number, ...values: unknown[]) => void;

/** Serves one request on the main thread; libfuse's thread waits until the signal is given. */
export type Handler = (signal: Signal, ...args: never[]) => void;

/**
 * The part of a fuse-native mount that we use. `_op_NAME` methods take a request's arguments as the add-on passes
 * them; the documented callbacks above them lose sizes and flags that we need.
 */
export interface FuseMount {
  /**
   * Handlers by opcode, called as `(request, opcode, ...args)`; `request` is the record that libfuse's thread
   * keeps.
   */
  _handlers: ((request: Buffer, ...rest: unknown[]) => unknown)[];
  _fuseOptions: () => string;
  mount(done: (error: Error | null) => void): void;
  [operation: `_op_${string}`]: Handler;
}

type FuseConstructor = new (
  mountpoint: string,
  operations: Readonly<Record<string, true>>,
  options: { readonly timeout: false },
) => FuseMount;

/**
 * Loads the optional package, on demand.
 * @throws ByrefError 'unsupported' without the package, or without libfuse 2
 */
export function loadFuseNative(): FuseConstructor {
  try {
    return createRequire(import.meta.url)('fuse-native') as FuseConstructor;
  } catch (error) {
    throw new ByrefError(
      'unsupported',
      'the transport fuse-native can not be loaded',
      'Run scripts/setup.sh: it needs the npm package fuse-native and the Debian package libfuse2.',
      { cause: error },
    );
  }
}
