import { cliStart } from './cli-start.ts';
import { driverMemory } from './driver-memory.ts';
import { envCreate } from './env-create.ts';
import { pageCache } from './page-cache.ts';
import { patch } from './patch.ts';
import type { Study } from './study.ts';

/** What only byref has, or what no single operation shows. */
export const STUDIES: readonly Study[] = [envCreate, patch, driverMemory, pageCache, cliStart];
