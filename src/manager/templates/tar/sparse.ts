/**
 * Parses the four ways in which GNU tar writes a sparse file's map: where its data goes, and how large the file
 * is.
 */
import type { ByteSource } from './byte-source.ts';
import { BLOCK, badArchive, parseNumber } from './header.ts';
import { type PaxRecords, parseInteger } from './pax.ts';

/** The map of a sparse file: where its data belongs. */
export interface SparseMap {
  /** The file's size in bytes, holes included. */
  readonly size: number;
  /** The pieces of data, in the order in which the archive has them. */
  readonly segments: readonly { readonly offset: number; readonly length: number }[];
}

const OLD_MAP_AT = 386;
const OLD_ENTRIES = 4;
const OLD_EXTENDED_AT = 482;
const OLD_SIZE_AT = 483;
const EXTENSION_ENTRIES = 21;
const EXTENSION_MORE_AT = 504;
const NUMBER_BYTES = 12;

/** Reads the map of a member of type 'S': it begins in the header, and continues in blocks after it. */
export async function oldSparseMap(header: Buffer, source: ByteSource): Promise<SparseMap> {
  const size = parseNumber(header.subarray(OLD_SIZE_AT, OLD_SIZE_AT + NUMBER_BYTES));
  const numbers = entries(header, OLD_MAP_AT, OLD_ENTRIES);
  for (let more = header[OLD_EXTENDED_AT] !== 0; more; ) {
    const block = await source.read(BLOCK);
    if (block === null) throw badArchive('the archive is truncated (in a sparse map)');
    numbers.push(...entries(block, 0, EXTENSION_ENTRIES));
    more = block[EXTENSION_MORE_AT] !== 0;
  }
  return sparseMap(size, numbers);
}

function entries(block: Buffer, at: number, count: number): number[] {
  const numbers: number[] = [];
  for (let i = 0; i < 2 * count; i++) {
    const from = at + i * NUMBER_BYTES;
    const field = block.subarray(from, from + NUMBER_BYTES);
    if (field[0] === 0) break;
    numbers.push(parseNumber(field));
  }
  return numbers;
}

/**
 * Reads the map from extended headers GNU.sparse.*, formats 0.0, 0.1 and 1.0; null if the member is not sparse.
 * @param read gives the next block; format 1.0 has its map in front of the data
 */
export async function paxSparseMap(
  pax: PaxRecords,
  repeated: readonly [string, Buffer][],
  read: () => Promise<Buffer>,
): Promise<SparseMap | null> {
  const size = pax.get('GNU.sparse.realsize') ?? pax.get('GNU.sparse.size');
  if (size === undefined) return null;
  const bytes = parseInteger('GNU.sparse.size', size);
  if (pax.get('GNU.sparse.major')?.toString() === '1') {
    return sparseMap(bytes, await mapBeforeData(read));
  }
  const map = pax.get('GNU.sparse.map');
  if (map !== undefined) return sparseMap(bytes, map.toString('latin1').split(',').map(Number));
  const numbers = repeated
    .filter(([key]) => key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes')
    .map(([key, value]) => parseInteger(key, value));
  return sparseMap(bytes, numbers);
}

/**
 * Reads decimal numbers, one per line: the number of entries, then the offset and length of each; padded to a
 * block.
 */
async function mapBeforeData(read: () => Promise<Buffer>): Promise<number[]> {
  const lines: string[] = [];
  let rest = '';
  for (;;) {
    const pieces = (rest + (await read()).toString('latin1')).split('\n');
    // The last piece is an incomplete line, or padding.
    rest = pieces.pop() ?? '';
    lines.push(...pieces);
    const count = Number(lines[0]);
    if (lines.length > 2 * count) return lines.slice(1, 1 + 2 * count).map(Number);
  }
}

function sparseMap(size: number, numbers: readonly number[]): SparseMap {
  const segments: { offset: number; length: number }[] = [];
  for (let i = 0; i + 1 < numbers.length; i += 2) {
    const offset = numbers[i]!;
    const length = numbers[i + 1]!;
    const sound = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
    if (!sound || offset < 0 || length < 0 || offset + length > size) {
      throw badArchive('the archive has a damaged sparse map');
    }
    if (length > 0) segments.push({ offset, length });
  }
  return { size, segments };
}
