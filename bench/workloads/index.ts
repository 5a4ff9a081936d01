import { dataWorkloads } from './data.ts';
import { namesWorkloads } from './names.ts';
import { programsWorkloads } from './programs.ts';
import type { Workload } from './workload.ts';
import { writesWorkloads } from './writes.ts';

export const WORKLOADS: readonly Workload[] = [
  ...namesWorkloads,
  ...dataWorkloads,
  ...writesWorkloads,
  ...programsWorkloads,
];
