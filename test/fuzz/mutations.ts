import fc from 'fast-check';

/** A change of bytes: at a place, given as a part of the length, some are taken out and others put in. */
export interface Mutation {
  readonly at: number;
  readonly cut: number;
  readonly put: Buffer;
}

const place = fc.double({ min: 0, max: 1, noNaN: true });

/** Any change of some bytes. @param pieces what to put in beside random bytes */
export const mutation = (...pieces: readonly fc.Arbitrary<Buffer>[]): fc.Arbitrary<Mutation> =>
  fc.record({
    at: place,
    cut: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 12 })),
    put: fc.oneof(
      fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
      ...pieces,
    ),
  });

export function mutated(source: Buffer, mutations: readonly Mutation[]): Buffer {
  return mutations.reduce((bytes, { at, cut, put }) => {
    const offset = Math.floor(at * bytes.length);
    return Buffer.concat([bytes.subarray(0, offset), put, bytes.subarray(offset + cut)]);
  }, source);
}
