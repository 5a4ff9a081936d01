import xxhash from 'xxhash-wasm';

/** Computes xxh64 of the bytes with a seed. */
export type Hash64 = (bytes: Uint8Array, seed: bigint) => bigint;

let loading: Promise<Hash64> | null = null;

/** Loads the hash function once for the process. */
export function loadHash(): Promise<Hash64> {
  loading ??= xxhash().then((api) => (bytes: Uint8Array, seed: bigint) => api.h64Raw(bytes, seed));
  return loading;
}
