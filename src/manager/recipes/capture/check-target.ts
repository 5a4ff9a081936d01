/** Checks, before anything runs, whether a capture may become a version of the template of its name. */
import { ByrefError } from '../../../base/error.ts';
import { checkName } from '../../../store/names.ts';
import type { StackRef, Store } from '../../../store/store.ts';

/**
 * Refuses a name that the capture can't have. @param stack what it is captured on
 * @throws ByrefError 'usage' for a text that can't be a name, 'badInput'
 */
export function checkTarget(store: Store, name: string, stack: readonly StackRef[]): void {
  checkName('template', name);
  const known = store.template(name);
  if (known === null) return;
  const hint = 'Choose another name, or see byref template list.';
  if (known.kind !== 'app') {
    throw new ByrefError('badInput', `there is an OS template ${name}; captures are apps`, hint);
  }
  if (stack.some(({ templateId }) => templateId === known.id)) {
    const message = `${name} can't be captured on itself: only what is new would be in it`;
    throw new ByrefError('badInput', message, hint);
  }
  const base = store.catalog.newest(known).base;
  if (base === null || base.templateId === stack[0]?.templateId) return;
  const other = store.catalog.byId(base.templateId)?.name ?? 'another OS template';
  throw new ByrefError('badInput', `${name} is an app for ${other}, not for this base`, hint);
}
