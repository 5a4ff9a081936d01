import { closeSync, openSync, writeSync } from 'node:fs';
import { END_MARK, memberHeader, padding } from '../../../src/manager/templates/tar/writer.ts';

const DIRECTORIES = 200;
/** One in so many has content of its own; the others are empty. */
const WITH_CONTENT = 20;
const BATCH = 1000;

/** Writes a tar of so many small files. */
export function writeManyFiles(archive: string, count: number): void {
  const fd = openSync(archive, 'w');
  try {
    for (let from = 0; from < count; from += BATCH) {
      const members: Buffer[] = [];
      for (let i = from; i < Math.min(from + BATCH, count); i++) members.push(member(i));
      writeSync(fd, Buffer.concat(members));
    }
    writeSync(fd, END_MARK);
  } finally {
    closeSync(fd);
  }
}

function member(i: number): Buffer {
  const content = Buffer.from(i % WITH_CONTENT === 0 ? `file ${i}\n` : '');
  const header = memberHeader({
    path: `usr/share/many/${i % DIRECTORIES}/${i}`,
    type: '0',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: content.length,
    mtime: 1_700_000_000,
    mtimeNs: 0,
    linkPath: '',
    major: 0,
    minor: 0,
    pax: [],
  });
  return Buffer.concat([header, content, padding(content.length)]);
}
