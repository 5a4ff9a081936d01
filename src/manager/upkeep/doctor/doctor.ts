import type { Check } from './check.ts';
import { checkpointCheck } from './checkpoint-probe.ts';
import { fileSystemChecks, nearestExisting } from './file-system.ts';
import { kernelChecks } from './kernel.ts';
import { mountChecks } from './mounts.ts';
import { runningChecks } from './running.ts';
import { toolChecks } from './tools.ts';
import { transportChecks } from './transports.ts';

/** The abilities of this machine for a root, which need not exist yet. */
export interface Diagnosis {
  /** False if no env can be mounted here. */
  readonly usable: boolean;
  readonly checks: readonly Check[];
}

/** Runs all checks of this machine. */
export async function diagnose(root: string): Promise<Diagnosis> {
  const checks = [
    ...(await kernelChecks()),
    ...(await fileSystemChecks(root)),
    ...transportChecks(),
    ...runningChecks(nearestExisting(root)),
    await checkpointCheck(),
    ...(await mountChecks(root)),
    ...toolChecks(),
  ];
  const usable = !checks.some((entry) => entry.required && entry.status === 'missing');
  return { usable, checks };
}
