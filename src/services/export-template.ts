import { exportTemplate } from '../manager/templates/export.ts';
import type { OnProgress } from '../manager/templates/tree.ts';
import type { Store } from '../store/store.ts';

/** The outcome of exportVersion(). */
export interface TemplateExported {
  /** NAME or NAME@VERSION, as it was asked for. */
  readonly template: string;
  readonly file: string;
}

/** Writes a version as a tar. @param file "-" is standard output @throws ByrefError as exportTemplate() */
export function exportVersion(
  store: Store,
  ref: string,
  file: string,
  progress: OnProgress,
  onWait: (whom: string) => void,
): TemplateExported {
  exportTemplate(store, ref, file, progress, onWait);
  return { template: ref, file };
}
