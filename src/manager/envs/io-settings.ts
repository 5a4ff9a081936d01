/** Reads and writes the values of limits of input and output. */
import { ByrefError } from '../../base/error.ts';
import { exactSize, sizeOf } from '../../base/size.ts';
import type { IoRate } from '../../codec/env-settings.ts';

/** Slower, a program waits minutes for its own libraries. */
const BYTES_MIN = 4096;
const IOPS_MAX = 2 ** 32 - 1;

/** vzctl's priorities are 0 to 7, and an env without one has 4; our weights are 1 to 1000, and such an env has 100. */
const PRIORITY_MAX = 7;
const WEIGHT_OF_PRIORITY = 25;

/** Reads 10MiB (bytes a second), 500iops (operations a second), or both with a comma. @throws ByrefError 'usage' */
export function ioRate(name: string, value: string): IoRate {
  let rate: IoRate = { bytes: null, iops: null };
  for (const part of value.split(',')) {
    const iops = /^(\d+)\s*iops$/.exec(part.trim())?.[1];
    const bytes = iops === undefined ? sizeOf(part.replace(/\/s$/, '')) : null;
    if (iops !== undefined && rate.iops === null && isBetween(Number(iops), 1, IOPS_MAX))
      rate = { ...rate, iops: Number(iops) };
    else if (bytes !== null && rate.bytes === null && bytes >= BYTES_MIN) rate = { ...rate, bytes };
    else throw bad(name, value);
  }
  return rate;
}

const isBetween = (number: number, least: number, most: number): boolean =>
  number >= least && number <= most;

function bad(name: string, value: string): ByrefError {
  const hint =
    'Write 10MiB (a second, at least 4KiB), 500iops (operations a second), or both: 10MiB,500iops.';
  return new ByrefError('usage', `${name} can't be "${value}"`, hint);
}

/** Writes a rate so that ioRate() reads the same one. */
export const ioRateText = ({ bytes, iops }: IoRate): string =>
  [...(bytes === null ? [] : [exactSize(bytes)]), ...(iops === null ? [] : [`${iops}iops`])].join(
    ',',
  );

/** A word of vzctl for several keys, or for one with other values. */
export interface Word {
  /** The keys, for help. */
  readonly means: string;
  /** Returns what a value says in keys of ours; '' takes them back. @throws ByrefError 'usage' */
  assignments(value: string): readonly string[];
}

const both = (text: string): string[] => [`limits.io.read=${text}`, `limits.io.write=${text}`];

/** vzctl's words for limits of input and output. */
export const IO_WORDS: Readonly<Record<string, Word>> = {
  iolimit: { means: 'limits.io.read and limits.io.write', assignments: both },
  iopslimit: {
    means: 'limits.io.read and limits.io.write, in operations a second',
    assignments: (value) => both(value === '' ? '' : `${value.replace(/iops$/, '')}iops`),
  },
  ioprio: {
    means: 'limits.io.weight, as 0 to 7',
    assignments(value) {
      if (value === '') return ['limits.io.weight='];
      if (/^\d$/.test(value) && Number(value) <= PRIORITY_MAX)
        return [`limits.io.weight=${Math.max(1, Number(value) * WEIGHT_OF_PRIORITY)}`];
      throw new ByrefError('usage', `ioprio can't be "${value}"`, 'Give 0 to 7, as to vzctl.');
    },
  },
};
