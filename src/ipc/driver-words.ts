import { driverProgram } from './entry-point.ts';

/** Returns the words that start the driver of a shard, of this build. */
export const driverWords = (root: string, shard: number): string[] => [
  process.execPath,
  ...driverProgram(),
  root,
  String(shard),
];
