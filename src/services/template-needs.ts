/** What the templates of an env say it needs, and what of that it gets. */
import { moreCapability } from '../base/capabilities.ts';
import { ByrefError } from '../base/error.ts';
import type { TemplateRow } from '../codec/store-rows.ts';
import { type Need, type Needs, needsIn } from '../manager/recipes/build/needs.ts';
import type { StackRef, Store } from '../store/store.ts';

/** What is needed, as settings. */
export interface NeedsAsSettings {
  /** KEY=VALUE. */
  readonly settings: readonly string[];
  /** PATH, or PATH:SIZE. */
  readonly volumes: readonly string[];
}

const LISTS = ['capabilities', 'devices', 'ports', 'volumes', 'tmpfs', 'environment'] as const;

/** Returns what the current version of a template says. */
export const needsOfTemplate = (store: Store, { id, current }: TemplateRow): Needs =>
  needsIn(store.catalog.version(id, current)?.config ?? '');

/** Returns what the templates of a stack need together; of two first processes the upper template's counts. */
export function needsOfStack(store: Store, stack: readonly StackRef[]): Needs {
  const all = stack.map(({ templateId, version }) =>
    needsIn(store.catalog.version(templateId, version)?.config ?? ''),
  );
  const lists = LISTS.map((field) => [field, all.flatMap((needs) => needs[field] ?? [])] as const);
  const init = all.findLast((needs) => needs.init !== undefined)?.init;
  return {
    ...Object.fromEntries(
      lists
        .filter(([, list]) => list.length > 0)
        .map(([field, list]) => [field, [...new Set(list)]]),
    ),
    ...(init !== undefined && { init }),
  };
}

/**
 * Leaves out what is refused.
 * @param refused fields of Needs, and items of them, as NET_ADMIN or /dev/fuse; null: all of it
 * @throws ByrefError 'usage' for a word that names nothing that is needed
 */
export function withoutRefused(needs: Needs, refused: readonly string[] | null): Needs {
  if (refused === null) return {};
  let left = needs;
  for (const word of refused) {
    const next = without(left, word);
    if (JSON.stringify(next) === JSON.stringify(left)) throw notNeeded(needs, word);
    left = next;
  }
  return left;
}

function without(needs: Needs, word: string): Needs {
  const left = Object.entries(needs as Readonly<Record<string, string | readonly string[]>>)
    .filter(([field]) => field !== word)
    .map(([field, value]): [string, string | readonly string[]] => [
      field,
      typeof value === 'string' ? value : value.filter((item) => !names(item, word)),
    ]);
  return Object.fromEntries(left);
}

/** True if a word names an item: it as a whole, or its path, name or port. */
const names = (item: string, word: string): boolean =>
  item === word ||
  item.split(/[:=]/)[0] === word ||
  (moreCapability(word) !== null && moreCapability(word) === moreCapability(item));

function notNeeded(needs: Needs, word: string): ByrefError {
  const fields = Object.keys(needs).join(', ');
  const hint =
    fields === ''
      ? 'Its templates need nothing: leave --refuse-needs out.'
      : `It needs: ${fields}; see byref template show.`;
  return new ByrefError('usage', `nothing that the env needs is called "${word}"`, hint);
}

/**
 * Leaves out capabilities that a privileged env has in any case.
 * @throws ByrefError 'usage' for one that only such an env can have
 */
export function grantable(needs: Needs, privileged: boolean): Needs {
  const { capabilities = [], ...others } = needs;
  const beyond = capabilities.filter((each) => moreCapability(each) === null);
  if (beyond.length > 0 && !privileged) {
    const message = `its templates need ${beyond.join(', ')}, which only a privileged env has`;
    const hint = `Say --privileged, if its programs may be root of this machine, or leave it out: --refuse ${beyond[0]}.`;
    throw new ByrefError('usage', message, hint);
  }
  return { ...others, capabilities: capabilities.filter((each) => !beyond.includes(each)) };
}

/** Returns needs as settings. A port alone is none: which of the machine's is to lead to it, its administrator says. */
export function needsAsSettings(needs: Needs): NeedsAsSettings {
  const {
    capabilities = [],
    devices = [],
    tmpfs = [],
    environment = [],
    init,
    volumes = [],
  } = needs;
  const ports = (needs.ports ?? []).filter((port) => port.includes(':'));
  const lists: Readonly<Partial<Record<Need, readonly string[]>>> = {
    capabilities,
    devices,
    ports,
    tmpfs,
  };
  const settings = [
    ...Object.entries(lists).flatMap(([key, list]) =>
      list.length === 0 ? [] : [`${key}=${list.join(',')}`],
    ),
    ...environment.map((variable) => `environment.${variable}`),
    ...(init === undefined ? [] : [`init=${init}`]),
  ];
  return { settings, volumes };
}
