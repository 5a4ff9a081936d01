/** Passes parts of the machine to a build or a capture: variables, such as proxies, and files to read, such as certificates. */
import { ByrefError } from '../../base/error.ts';
import type { ReadOnlyBind } from '../confinement/inside.ts';

/** The variables and files that a build or a capture gets. */
export interface Given {
  readonly env: Readonly<Record<string, string>>;
  readonly binds: readonly ReadOnlyBind[];
}

/** Variables that say how to reach the network from here; every build and capture gets them. */
const PROXIES = ['http_proxy', 'https_proxy', 'ftp_proxy', 'all_proxy', 'no_proxy'];

const VARIABLE = /^([A-Za-z_][A-Za-z0-9_]*)(?:=(.*))?$/s;

/** True for NAME or NAME=VALUE. */
export const isVariable = (text: string): boolean => VARIABLE.test(text);

/** Parses NAME=VALUE; NAME alone takes the value that it has here, if it has one. @throws ByrefError 'usage' */
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

/** Returns those of these variables that have a value here, with it. */
export const ownVariables = (...names: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );

/** Returns the proxy variables that have a value here, in lower and upper case. */
export const ownProxies = (): Record<string, string> =>
  ownVariables(...PROXIES.flatMap((name) => [name, name.toUpperCase()]));
