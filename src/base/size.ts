import { lookUp } from './look-up.ts';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** Returns a number of bytes for people: three figures and a binary unit. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** Bytes of each unit, in the ways that people write them: binary ones, and those of vzctl. */
const BYTES: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  ...{ K: 2 ** 10, KB: 10 ** 3, KIB: 2 ** 10 },
  ...{ M: 2 ** 20, MB: 10 ** 6, MIB: 2 ** 20 },
  ...{ G: 2 ** 30, GB: 10 ** 9, GIB: 2 ** 30 },
  ...{ T: 2 ** 40, TB: 10 ** 12, TIB: 2 ** 40 },
};

/** Returns the bytes that a text such as 512MiB, 2G or 4096 stands for; null if it is no size. */
export function sizeOf(text: string): number | null {
  const [, number, unit = ''] = /^(\d+(?:[.]\d+)?)\s*([A-Za-z]*)$/.exec(text.trim()) ?? [];
  const bytes = lookUp(BYTES, unit.toUpperCase());
  if (number === undefined || bytes === undefined) return null;
  const value = Math.round(Number(number) * bytes);
  return Number.isSafeInteger(value) ? value : null;
}

/** Writes bytes so that sizeOf() reads the same number: 256MiB, or 1000 where no unit fits. */
export function exactSize(bytes: number): string {
  const [unit, size] = BINARY.find(([, length]) => bytes > 0 && bytes % length === 0) ?? ['', 1];
  return `${bytes / size}${unit}`;
}

const BINARY = [
  ['TiB', 2 ** 40],
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
] as const;
