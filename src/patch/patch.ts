/** `byref patch` and `byref rollback`: all envs that follow a template go to another version of it. */
import { failpoint } from '../base/failpoints.ts';
import type { PatchKind, PatchRecord } from '../codec/patch-record.ts';
import type { EnvRow, Store, TemplateRow, VersionRow } from '../store/store.ts';
import { author } from './author.ts';
import { flip, outcomes } from './flip.ts';
import { follows, usersOf, withEntry } from './followers.ts';

export interface MoveOptions {
  readonly kind: Extract<PatchKind, 'patch' | 'rollback'>;
  readonly note?: string;
}

/** Moves `current`, and with it every env that follows. The store is open for writing. */
export async function moveCurrent(
  store: Store,
  template: TemplateRow,
  version: VersionRow,
  { kind, note = '' }: MoveOptions,
): Promise<PatchRecord> {
  const moving = usersOf(store, template.id).filter(follows);
  let record: PatchRecord | null = null;
  const report = await flip(store, {
    template: template.id,
    version: version.number,
    commit() {
      store.catalog.put({ ...template, current: version.number });
      store.catalog.putVersion(template.id, { ...version, staged: false });
      for (const { row, entry } of moving) {
        if (entry.canary !== null) store.putEnv(withEntry(row, template.id, { canary: null }));
      }
      record = store.patches.add({
        kind,
        templateId: template.id,
        template: template.name,
        from: template.current,
        to: version.number,
        state: 'acting',
        startedMs: Date.now(),
        endedMs: null,
        by: author(),
        policies: [],
        envs: [],
        note,
      });
    },
  });
  failpoint('patch-flipped');
  const rows: EnvRow[] = moving.map(({ row }) => row);
  return finish(store, record!, { envs: outcomes(store, rows, report) });
}

function finish(store: Store, record: PatchRecord, result: Partial<PatchRecord>): PatchRecord {
  const done: PatchRecord = { ...record, ...result, state: 'done', endedMs: Date.now() };
  store.tables.transaction(() => store.patches.put(done));
  return done;
}
