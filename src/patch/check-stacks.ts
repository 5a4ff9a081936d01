import type { Store, TemplateRow } from '../store/store.ts';
import { follows, usersOf } from './followers.ts';
import { withVersion } from './moves.ts';

/**
 * Refuses a version that does not go together with the other templates of the envs that would see it, as `create` does;
 * each distinct stack once.
 * @throws ByrefError 'badInput'
 */
export function checkPatchedStacks(store: Store, template: TemplateRow, version: number): void {
  const seen = new Set<string>();
  for (const { row } of usersOf(store, template.id).filter(follows)) {
    if (row.stack.length === 1) continue;
    const stack = withVersion(store, row, template.id, version);
    const key = stack.map(({ templateId, version: at }) => `${templateId}@${at}`).join(' ');
    if (seen.has(key)) continue;
    seen.add(key);
    store.checkStack(row.stack, stack);
  }
}
