import { envStates } from '../manager/envs/state.ts';
import { type EnvSummary, summaryOf } from '../manager/envs/summary.ts';
import { peoplesEnvs } from '../manager/sandbox/owner.ts';
import type { Store } from '../store/store.ts';

/** Lists the envs that people made, oldest first. */
export const listEnvs = async (store: Store): Promise<EnvSummary[]> =>
  (await envStates(store, peoplesEnvs(store))).map(summaryOf);
