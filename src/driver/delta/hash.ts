import xxhash from 'xxhash-wasm';

/** xxh64 of the bytes under a seed. */
export type Hash64 = (bytes: Uint8Array, seed: bigint) => bigint;

let loading: Promise<Hash64> | null = null;

export function loadHash(): Promise<Hash64> {
  loading ??= xxhash().then((api) => (bytes: Uint8Array, seed: bigint) => api.h64Raw(bytes, seed));
  return loading;
}
