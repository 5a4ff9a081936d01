/** Copies a tar member's content without holding all of it in memory. */
import { ftruncateSync } from 'node:fs';
import { writeAt } from '../../store/object-job.ts';
import type { TarMember, TarReader } from './tar/reader.ts';

const PIECE = 2 ** 20;

/** Writes the content into a new file, holes as holes. @throws ByrefError 'badInput' for a truncated archive */
export async function writeContent(
  reader: TarReader,
  { sparse, size }: TarMember,
  fd: number,
): Promise<void> {
  for (const { offset, length } of sparse?.segments ?? [{ offset: 0, length: size }]) {
    for (let written = 0; written < length; ) {
      const piece = await reader.readPiece(Math.min(PIECE, length - written));
      writeAt(fd, piece, offset + written, false);
      written += piece.length;
    }
  }
  ftruncateSync(fd, size);
}
