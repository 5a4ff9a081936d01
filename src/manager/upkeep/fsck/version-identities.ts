/** Checks, with --full, that versions show the tree that was added: by the identity that was noted of each. */
import { identityOf, notedIdentity, noteIdentity } from '../../../store/identities.ts';
import { TreeCache } from '../../../store/tree-cache.ts';
import { BY_REPAIR, damage, type Found } from './finding.ts';
import type { Job } from './job.ts';

/** Checks all versions of which an identity was noted. */
export function* checkIdentities(job: Job): Generator<Found> {
  for (const { id, versions } of job.catalog.values()) {
    for (const version of versions) {
      const noted = readIdentity(job, id, version);
      const is = noted === null ? null : computed(job, id, version);
      if (is === null || is === noted) continue;
      const what = `its rows show another tree than the one that was added: ${is}, not ${noted}`;
      const rows = () => noteIdentity(job.tables, id, version, is);
      yield damage('catalog.identity', job.version(id, version), what, BY_REPAIR, { rows });
    }
  }
}

/** Returns the identity that was noted; null if none was, or its row can't be read, which another check finds. */
function readIdentity({ tables }: Job, templateId: number, version: number): string | null {
  try {
    return notedIdentity(tables, templateId, version);
  } catch {
    return null;
  }
}

/** Returns the identity of what the rows show; null if they can't be read, which other checks find. */
function computed({ tables }: Job, templateId: number, version: number): string | null {
  try {
    return identityOf(tables, new TreeCache(tables).lowerTree([{ templateId, version }]));
  } catch {
    return null;
  }
}
