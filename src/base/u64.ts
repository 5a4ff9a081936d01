/** Whole numbers below 2^53 as 64 bits, high byte first, as keys have them: byte order is number order. */
const TWO_32 = 2 ** 32;

/** Writes 8 bytes. */
export function writeU64(bytes: Buffer, at: number, value: number): void {
  bytes.writeUInt32BE((value / TWO_32) >>> 0, at);
  bytes.writeUInt32BE(value >>> 0, at + 4);
}

/** Reads 8 bytes. */
export const readU64 = (bytes: Buffer, at: number): number =>
  bytes.readUInt32BE(at) * TWO_32 + bytes.readUInt32BE(at + 4);
