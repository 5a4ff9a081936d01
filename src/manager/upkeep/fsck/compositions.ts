/** Checks compositions. They follow from templates, so one that is damaged or no longer useful can be removed. */
import type { TemplateRow } from '../../../codec/store-rows.ts';
import { COMPOSITION_VERSION, composedOf, isCompositionName } from '../../../store/compositions.ts';
import { hasContent } from './catalog.ts';
import type { TemplateFacts } from './catalog-facts.ts';
import { removal } from './composition-removal.ts';
import { damage, type Found, leftover, REMOVED_BY_REPAIR } from './finding.ts';
import type { Job } from './job.ts';

/** Checks all compositions. Runs after the checks of what is removed with them. */
export function* checkCompositions(job: Job): Generator<Found> {
  for (const facts of job.catalog.values()) {
    const { id, row } = facts;
    if (row?.kind !== 'composition') continue;
    const unwanted = whyUnwanted(job, row);
    if (unwanted !== null) {
      const { remedy, ...repair } = removal(job, id, REMOVED_BY_REPAIR);
      yield leftover('catalog.composition', job.template(id), unwanted, remedy, repair);
      continue;
    }
    if (row.current === COMPOSITION_VERSION && isTheVersion(facts)) continue;
    const versions = facts.versions.join(', ') || 'none';
    const what = `it has one version, number ${COMPOSITION_VERSION}, and here it has ${versions}, of which ${row.current} is current`;
    const { remedy, ...repair } = removal(job, id);
    yield damage('catalog.composition', job.template(id), what, remedy, repair);
  }
}

const isTheVersion = ({ versions: [first, ...rest] }: TemplateFacts): boolean =>
  first === COMPOSITION_VERSION && rest.length === 0;

/** Returns why a composition is useless; null if the versions that it was made for exist. */
function whyUnwanted(job: Job, row: TemplateRow): string | null {
  if (!isCompositionName(row.name))
    return `its name "${row.name}" does not say what it is made for`;
  for (const { templateId, version } of composedOf(row)) {
    const facts = job.catalog.get(templateId);
    if (facts === undefined) {
      // A template that lost its row may get it back.
      if (hasContent(job, templateId)) continue;
      return `it is made for template number ${templateId}, which does not exist`;
    }
    if (facts.versions.includes(version)) continue;
    return `it is made for ${facts.name}@${version}, which does not exist`;
  }
  return null;
}
