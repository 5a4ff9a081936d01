import { appsBuild } from './apps-build.ts';
import { appsCreate } from './apps-create.ts';
import { appsLookup } from './apps-lookup.ts';
import { cliStart } from './cli-start.ts';
import { client } from './client.ts';
import { diskLimit } from './disk-limit.ts';
import { driverMemory } from './driver-memory.ts';
import { envCreate } from './env-create.ts';
import { moving } from './moving.ts';
import { neighbour } from './neighbour.ts';
import { pageCache } from './page-cache.ts';
import { patch } from './patch.ts';
import { patchUsed } from './patch-used.ts';
import { resume } from './resume.ts';
import { running } from './running.ts';
import type { Study } from './study.ts';

/** What only byref has, or what no single operation shows. */
export const STUDIES: readonly Study[] = [
  envCreate,
  patch,
  patchUsed,
  appsBuild,
  appsCreate,
  appsLookup,
  driverMemory,
  pageCache,
  neighbour,
  diskLimit,
  cliStart,
  client,
  running,
  resume,
  moving,
];
