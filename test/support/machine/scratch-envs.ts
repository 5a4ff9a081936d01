import { isScratch } from '../../../src/store/names.ts';
import { openStore } from '../../../src/store/store.ts';
import type { TestRoot } from './root.ts';

/** Names of throw-away envs, which no list shows. */
export async function scratchEnvs(root: TestRoot): Promise<string[]> {
  const store = await openStore(root.path, { write: false });
  try {
    return store.envs().flatMap(({ name }) => (isScratch(name) ? [name] : []));
  } finally {
    await store.close();
  }
}
