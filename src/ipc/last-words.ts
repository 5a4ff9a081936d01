import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const TAIL_BYTES = 16_384;

/**
 * Returns how a driver ended, by the end of its log: "was killed (out of memory?)", where it wrote nothing before it
 * ended; null if it ended by itself, or that is unknown.
 */
export function endOf(log: string): string | null {
  const lines = tailOf(log).trimEnd().split('\n');
  const last = lines.at(-1) ?? '';
  if (last === '' || messageOf(last) === 'ending') return null;
  const died = lines
    .slice(-3)
    .map(messageOf)
    .find((text) => / ended this process/.test(text));
  if (died !== undefined) return `died: ${died}`;
  if (lines.slice(-40).some((line) => /heap out of memory/.test(line))) return 'ran out of memory';
  return 'was killed (out of memory?)';
}

function messageOf(line: string): string {
  try {
    return String((JSON.parse(line) as { msg?: unknown }).msg);
  } catch {
    return line;
  }
}

function tailOf(file: string): string {
  try {
    const fd = openSync(file, 'r');
    const { size } = fstatSync(fd);
    const bytes = Buffer.alloc(Math.min(size, TAIL_BYTES));
    const length = readSync(fd, bytes, 0, bytes.length, size - bytes.length);
    closeSync(fd);
    return bytes.toString('utf8', 0, length);
  } catch {
    return '';
  }
}
