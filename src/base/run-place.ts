import path from 'node:path';

/** Returns the directory in which the run directories of all roots are: that of BYREF_RUN, or /run/byref. */
export function runPlace(): string {
  const { BYREF_RUN: named = '' } = process.env;
  return path.resolve(named === '' ? '/run/byref' : named);
}
