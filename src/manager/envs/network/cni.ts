/**
 * Runs CNI plugins, which connect a network namespace: containernetworking/cni, SPEC.md, version 1.0. Each plugin is a program
 * that is given its configuration on standard input, and prints a result, which the next one gets.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../../base/error.ts';
import { SEARCHED } from './network-tool.ts';

/** A network, as a list of plugins. */
export interface CniNetwork {
  readonly cniVersion: string;
  readonly name: string;
  readonly plugins: readonly CniPlugin[];
}

/** One plugin's configuration; what else is in it depends on the type. */
export interface CniPlugin {
  readonly type: string;
  /** What of the runtime's arguments it takes. */
  readonly capabilities?: Readonly<Record<string, true>>;
}

/** What is connected. */
export interface Attachment {
  readonly network: CniNetwork;
  /** Unique on the machine: letters, digits, and _ . - */
  readonly containerId: string;
  /** The path of its network namespace. */
  readonly namespace: string;
  readonly interface: string;
  /** By capability: the arguments for plugins that have it. */
  readonly runtime: Readonly<Record<string, unknown>>;
}

/** What plugins made. Addresses are ADDRESS/PREFIX. */
export interface CniResult {
  /** Those with a sandbox are in a namespace, the others the machine's. */
  readonly interfaces?: readonly {
    readonly name: string;
    readonly mac?: string;
    readonly sandbox?: string;
  }[];
  readonly ips?: readonly { readonly address: string; readonly gateway?: string }[];
}

/** Where plugins are: Debian's containernetworking-plugins, and where others put them. */
const DIRECTORIES = ['/usr/lib/cni', '/opt/cni/bin'];

/** Connects a namespace. If one plugin fails, what the others made is taken back. @throws ByrefError */
export async function connect(attachment: Attachment): Promise<CniResult> {
  let result: CniResult = {};
  try {
    for (const plugin of attachment.network.plugins)
      result = (await call('ADD', plugin, attachment, result)) ?? result;
    return result;
  } catch (error) {
    await disconnect(attachment, result);
    throw error;
  }
}

/** Takes back what connect() made; what is not there is no error. */
export async function disconnect(attachment: Attachment, result: CniResult): Promise<void> {
  for (const plugin of [...attachment.network.plugins].reverse()) {
    // The others are to have their turn.
    await call('DEL', plugin, attachment, result).catch(() => undefined);
  }
}

async function call(
  command: 'ADD' | 'DEL',
  plugin: CniPlugin,
  { network, containerId, namespace, interface: name, runtime }: Attachment,
  former: CniResult,
): Promise<CniResult | null> {
  const { cniVersion } = network;
  const taken = Object.entries(runtime).filter(([key]) => plugin.capabilities?.[key]);
  const hasFormer = Object.keys(former).length > 0;
  const config = {
    cniVersion,
    name: network.name,
    ...plugin,
    ...(taken.length > 0 && { runtimeConfig: Object.fromEntries(taken) }),
    ...(hasFormer && { prevResult: former }),
  };
  const variables = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: containerId,
    CNI_NETNS: namespace,
    CNI_IFNAME: name,
    CNI_PATH: DIRECTORIES.join(':'),
  };
  const { code, stdout } = await runPlugin(plugin.type, variables, JSON.stringify(config));
  if (code === 0) return stdout.trim() === '' ? null : (JSON.parse(stdout) as CniResult);
  throw failed(plugin.type, stdout);
}

function runPlugin(
  type: string,
  variables: Readonly<Record<string, string>>,
  input: string,
): Promise<{ code: number | null; stdout: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(programOf(type), [], {
      cwd: '/',
      env: { PATH: SEARCHED, ...variables },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    let stdout = '';
    child.stdout.on('data', (bytes: Buffer) => {
      stdout += bytes.toString();
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout }));
    // A plugin that fails early does not read it.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

function programOf(type: string): string {
  const found = DIRECTORIES.map((at) => path.join(at, type)).find((file) => existsSync(file));
  if (found !== undefined) return found;
  const message = `the CNI plugin ${type} is missing, which connects envs`;
  const hint =
    'Install it: apt-get install containernetworking-plugins. Or do without a network: byref set ENV network=none.';
  throw new ByrefError('unsupported', message, hint);
}

/** Errors are JSON, too: SPEC.md, "Error". */
function failed(type: string, stdout: string): ByrefError {
  let said = stdout.trim();
  try {
    const { msg, details } = JSON.parse(stdout) as { msg?: string; details?: string };
    said = [msg, details].filter(Boolean).join(': ');
  } catch {
    // It is as it was printed.
  }
  const message = `the env could not be connected: ${type}: ${said}`;
  return new ByrefError('error', message, hintFor(said));
}

function hintFor(said: string): string {
  if (/no IP addresses available/.test(said))
    return 'All addresses are taken: stop some envs; or stop all, and start them with a larger BYREF_SUBNET.';
  if (/exchange full/.test(said))
    return 'The bridge has no port left: restart envs that an older byref has started, or take devices off it that are not of envs.';
  return 'See byref doctor; or do without: byref set ENV network=none.';
}
