/** Devices and capabilities that an env has beyond those of each, as they are written in settings. */
import path from 'node:path';
import { MORE_CAPABILITIES, moreCapability } from '../../base/capabilities.ts';
import type { Device } from '../../codec/env-settings.ts';
import { bad, type Key } from './setting-key.ts';

const ACCESS = /^(?:r|w|rw)$/;

/** Reads PATH, PATH:r, PATH:w or PATH:rw. @throws ByrefError 'usage' */
function deviceOf(text: string): Device {
  const [given = '', access = 'rw', ...more] = text.split(':');
  const at = path.posix.normalize(given);
  if (at.startsWith('/dev/') && ACCESS.test(access) && more.length === 0)
    return { path: at, access };
  throw bad('a device', text, 'Write its path, as /dev/fuse, or /dev/loop0:r to read it only.');
}

const deviceText = ({ path: at, access }: Device): string =>
  access === 'rw' ? at : `${at}:${access}`;

function capabilityOf(text: string): string {
  const known = moreCapability(text);
  if (known !== null) return known;
  const names = MORE_CAPABILITIES.map(short).join(', ');
  const hint = `An env may be given ${names}. All others need privileged=true, which keeps nothing from it.`;
  throw bad('a capability', text, hint);
}

const short = (name: string): string => name.replace(/^CAP_/, '');

const items = (value: string): string[] => (value === '' ? [] : value.split(','));

/** The keys of devices and capabilities. */
export const DEVICE_KEYS: readonly Key[] = [
  {
    name: 'devices',
    summary: 'devices of the machine that it has: /dev/fuse,/dev/net/tun,/dev/loop0:r',
    set: (settings, value) => ({ ...settings, devices: items(value).map(deviceOf) }),
    get: ({ devices }) => devices.map(deviceText).join(','),
  },
  {
    name: 'capabilities',
    summary: 'what its root may do beyond the standard: NET_ADMIN,SYS_NICE',
    set: (settings, value) => ({
      ...settings,
      capabilities: [...new Set(items(value).map(capabilityOf))],
    }),
    get: ({ capabilities }) => capabilities.map(short).join(','),
  },
];
