/** What of the machine a build or a capture is given: variables, such as proxies, and files to read, such as certificates. */
import { ByrefError } from '../../base/error.ts';
import type { ReadOnlyBind } from '../confinement/inside.ts';

export interface Given {
  readonly env: Readonly<Record<string, string>>;
  readonly binds: readonly ReadOnlyBind[];
}

/** What leads from here to the network: given to all. */
const PROXIES = ['http_proxy', 'https_proxy', 'ftp_proxy', 'all_proxy', 'no_proxy'];

const VARIABLE = /^([A-Za-z_][A-Za-z0-9_]*)(?:=(.*))?$/s;

export const isVariable = (text: string): boolean => VARIABLE.test(text);

/** Of NAME=VALUE what it says; of NAME its value here, if it has one. @throws ByrefError 'usage' */
export function parseVariables(texts: readonly string[]): Record<string, string> {
  const all: Record<string, string> = {};
  for (const text of texts) {
    const [, name, value] = VARIABLE.exec(text) ?? [];
    if (name === undefined) {
      const message = `--env ${text} is not NAME or NAME=VALUE`;
      throw new ByrefError('usage', message, 'NAME alone takes the value that it has here.');
    }
    Object.assign(all, value === undefined ? ownVariables(name) : { [name]: value });
  }
  return all;
}

/** Those of these variables that have a value here. */
export const ownVariables = (...names: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );

export const ownProxies = (): Record<string, string> =>
  ownVariables(...PROXIES.flatMap((name) => [name, name.toUpperCase()]));
