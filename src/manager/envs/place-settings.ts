/** Places in an env that are not of its root: volumes, binds and tmpfs, as they are written in settings. */
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import { exactSize, sizeOf } from '../../base/size.ts';
import type { Bind, EnvSettings, Tmpfs, Volume } from '../../codec/env-settings.ts';
import { bad, type Key } from './setting-key.ts';

/** Directories that the runtime mounts itself. */
const TAKEN = /^\/(?:proc|sys|dev)(?:\/|$)/;

/** Normalises a path in an env. @throws ByrefError 'usage' for one where nothing can be mounted */
export function placeInside(what: string, text: string): string {
  const at = path.posix.normalize(text).replace(/\/+$/, '');
  if (at.startsWith('/') && !TAKEN.test(at) && !/[,:\n]/.test(at)) return at;
  const hint =
    'Name an absolute path in the env, but for /, /proc, /sys and /dev, without : and commas.';
  throw new ByrefError('usage', `there can be no ${what} at "${text}"`, hint);
}

/** A volume that is wanted. */
export type VolumeWanted = Omit<Volume, 'id'>;

const VOLUME_MIN = 2 ** 20;

/** Reads PATH[:SIZE]. @throws ByrefError 'usage' */
export function volumeOf(text: string): VolumeWanted {
  const { at, sizeBytes } = sizedPlace('volume', text);
  if (sizeBytes === null || sizeBytes >= VOLUME_MIN) return { path: at, sizeBytes };
  throw bad('the size of a volume', text, 'Give at least 1MiB.');
}

function sizedPlace(what: string, text: string): { at: string; sizeBytes: number | null } {
  const colon = text.lastIndexOf(':');
  if (colon < 0) return { at: placeInside(what, text), sizeBytes: null };
  const sizeBytes = sizeOf(text.slice(colon + 1));
  if (sizeBytes === null || sizeBytes === 0)
    throw bad(`the size of a ${what}`, text.slice(colon + 1), 'Write PATH, or PATH:1GiB.');
  return { at: placeInside(what, text.slice(0, colon)), sizeBytes };
}

/** Writes a place with its size so that volumeOf() reads the same. */
export const sizedText = ({ path: at, sizeBytes }: VolumeWanted | Tmpfs): string =>
  sizeBytes === null ? at : `${at}:${exactSize(sizeBytes)}`;

/** Reads HOST:PATH[:ro]. @throws ByrefError 'usage' */
function bindOf(text: string): Bind {
  const [source = '', at, how, ...more] = text.split(':');
  const isKnown = how === undefined || how === 'ro' || how === 'rw';
  if (!source.startsWith('/') || at === undefined || !isKnown || more.length > 0)
    throw bad('a bind', text, 'Write HOST:PATH or HOST:PATH:ro, both absolute.');
  return { source: path.normalize(source), path: placeInside('bind', at), readOnly: how === 'ro' };
}

const bindText = ({ source, path: at, readOnly }: Bind): string =>
  `${source}:${at}${readOnly ? ':ro' : ''}`;

const tmpfsOf = (text: string): Tmpfs => {
  const { at, sizeBytes } = sizedPlace('tmpfs', text);
  return { path: at, sizeBytes };
};

const items = (value: string): string[] => (value === '' ? [] : value.split(','));

/** The keys of places. Volumes are none: what they hold can't be set. */
export const PLACE_KEYS: readonly Key[] = [
  {
    name: 'binds',
    summary: 'files and directories of the machine that it has: /srv/www:/var/www:ro,...',
    set: (settings, value) => withPlaces({ ...settings, binds: items(value).map(bindOf) }),
    get: ({ binds }) => binds.map(bindText).join(','),
  },
  {
    name: 'tmpfs',
    summary: 'directories in memory that it has: /tmp:64MiB,/run',
    set: (settings, value) => withPlaces({ ...settings, tmpfs: items(value).map(tmpfsOf) }),
    get: ({ tmpfs }) => tmpfs.map(sizedText).join(','),
  },
];

/** Returns settings with volumes added. @throws ByrefError 'exists' if there is something at their paths already */
export function withVolumes(settings: EnvSettings, wanted: readonly VolumeWanted[]): EnvSettings {
  let { volumes } = settings;
  for (const each of wanted) {
    const other = volumes.find(
      ({ path: at }) => isWithin(at, each.path) || isWithin(each.path, at),
    );
    if (other !== undefined) {
      const message = `there is a volume at ${other.path} already`;
      throw new ByrefError('exists', message, 'Volumes can’t be in each other.');
    }
    volumes = [...volumes, { id: Math.max(0, ...volumes.map(({ id }) => id)) + 1, ...each }];
  }
  return withPlaces({ ...settings, volumes });
}

/** Refuses two things at one path. */
function withPlaces(settings: EnvSettings): EnvSettings {
  const { volumes, binds, tmpfs } = settings;
  const seen = new Set<string>();
  for (const { path: at } of [...volumes, ...binds, ...tmpfs]) {
    if (seen.has(at)) {
      const hint = 'Only one volume, bind or tmpfs can be at a path.';
      throw new ByrefError('exists', `there is something at ${at} already`, hint);
    }
    seen.add(at);
  }
  return settings;
}

const isWithin = (directory: string, at: string): boolean =>
  at === directory || at.startsWith(`${directory}/`);
