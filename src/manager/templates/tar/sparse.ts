/** The four ways in which GNU tar writes a sparse file: where its data goes, and how large it is. */
import type { ByteSource } from './byte-source.ts';
import { BLOCK, badArchive, parseNumber } from './header.ts';
import { type PaxRecords, parseInteger } from './pax.ts';

export interface SparseMap {
  /** Bytes of the file, holes included. */
  readonly size: number;
  /** Data, in order of its place in the archive. */
  readonly segments: readonly { readonly offset: number; readonly length: number }[];
}

const OLD_MAP_AT = 386;
const OLD_ENTRIES = 4;
const OLD_EXTENDED_AT = 482;
const OLD_SIZE_AT = 483;
const EXTENSION_ENTRIES = 21;
const EXTENSION_MORE_AT = 504;
const NUMBER_BYTES = 12;

/** Type 'S': the map begins in the header, and goes on in blocks after it. */
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
 * Extended headers GNU.sparse.*, formats 0.0, 0.1 and 1.0; null if the member is not sparse. 1.0 has its map
 * in front of the data: `read` gives the next block of it.
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

/** Decimal numbers, one a line: how many entries, then offset and length of each; padded to a block. */
async function mapBeforeData(read: () => Promise<Buffer>): Promise<number[]> {
  const lines: string[] = [];
  let rest = '';
  for (;;) {
    const pieces = (rest + (await read()).toString('latin1')).split('\n');
    // The last piece is no whole line, or padding.
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
