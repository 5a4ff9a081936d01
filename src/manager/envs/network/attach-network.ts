/** Connects running envs to the bridge, and notes in the bundle how, so that any later command can disconnect them. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../../base/error.ts';
import { MNT_DETACH, UMOUNT_NOFOLLOW } from '../../../base/mount-flags.ts';
import { RunDir } from '../../../ipc/run-dir.ts';
import { native } from '../../../native/binding.ts';
import { withLock } from '../../../store/with-lock.ts';
import type { BundleDir } from '../runtime/bundle-dir.ts';
import { bridgeNetwork, type NetworkSettings, runtimeArguments } from './bridge.ts';
import { type Attachment, type CniResult, connect, disconnect } from './cni.ts';
import { type PortMapping, parsePorts } from './ports.ts';

/** How an env is connected: `network.json` in its bundle. */
interface NetworkNote {
  /** The env's name, for messages. */
  readonly env: string;
  readonly attachment: Attachment;
  readonly ports: readonly string[];
  /** null until it is known. */
  readonly result: CniResult | null;
}

const FILE = 'network.json';
const INTERFACE = 'eth0';

/** The file in a bundle on which the monitor mounts the env's network namespace, so that it stays while it is connected. */
const namespaceOf = (bundle: BundleDir): string => path.join(bundle.path, 'netns');

/**
 * Connects an env.
 * @throws ByrefError 'busy' if another env has published one of its ports, else as connect(); then nothing is left of it
 */
export async function attachNetwork(
  root: string,
  env: string,
  bundle: BundleDir,
  settings: NetworkSettings,
): Promise<void> {
  const run = new RunDir(root);
  const machine = path.dirname(run.path);
  const attachment: Attachment = {
    network: bridgeNetwork(settings, path.join(machine, 'addresses')),
    containerId: `${path.basename(run.path)}-${bundle.name}`,
    namespace: namespaceOf(bundle),
    interface: INTERFACE,
    runtime: runtimeArguments(settings),
  };
  // First, so that a kill between leaves nothing that is not known of.
  await withLock(path.join(machine, 'ports.lock'), 'file', () => {
    refuseTaken(machine, bundle, settings.ports);
    write(bundle, { env, attachment, ports: settings.ports, result: null });
  });
  const result = await connect(attachment);
  write(bundle, { env, attachment, ports: settings.ports, result });
}

const write = (bundle: BundleDir, note: NetworkNote): void =>
  bundle.write(FILE, JSON.stringify(note));

/** The packet filter would let the first of two win, and say nothing. */
function refuseTaken(machine: string, own: BundleDir, ports: readonly string[]): void {
  const wanted = parsePorts(ports);
  if (wanted.length === 0) return;
  for (const bundle of bundlesOf(machine)) {
    if (bundle === own.path) continue;
    const note = noteIn(bundle);
    for (const taken of parsePorts(note?.ports ?? [])) {
      const same = wanted.find((each) => overlap(each, taken));
      if (note !== null && same !== undefined) throw portTaken(same, note.env);
    }
  }
}

const overlap = (a: PortMapping, b: PortMapping): boolean =>
  a.hostPort === b.hostPort &&
  a.protocol === b.protocol &&
  (a.hostIP === undefined || b.hostIP === undefined || a.hostIP === b.hostIP);

function portTaken({ hostPort, protocol }: PortMapping, env: string): ByrefError {
  const message = `port ${hostPort}/${protocol} of this machine leads to ${env} already`;
  return new ByrefError('busy', message, 'Publish another one, or stop that env first.');
}

/** Returns the bundles of all roots of this machine. */
const bundlesOf = (machine: string): string[] =>
  readdirSync(machine)
    .filter((name) => name.endsWith('.envs'))
    .flatMap((name) =>
      readdirSync(path.join(machine, name)).map((id) => path.join(machine, name, id)),
    );

/** Takes back what attachNetwork() made, and lets go of the namespace. Nothing is there: nothing is done. */
export async function detachNetwork(bundle: BundleDir): Promise<void> {
  const note = noteOf(bundle);
  if (note !== null) await disconnect(note.attachment, note.result ?? {});
  const namespace = namespaceOf(bundle);
  if (existsSync(namespace)) native.umount(namespace, MNT_DETACH | UMOUNT_NOFOLLOW);
}

/** Returns the address of a running env, without its prefix; null if it has none. */
export function addressOf(bundle: BundleDir): string | null {
  const [first] = noteOf(bundle)?.result?.ips ?? [];
  return first === undefined ? null : (first.address.split('/')[0] ?? null);
}

const noteOf = (bundle: BundleDir): NetworkNote | null => noteIn(bundle.path);

function noteIn(bundle: string): NetworkNote | null {
  try {
    return JSON.parse(readFileSync(path.join(bundle, FILE), 'utf8')) as NetworkNote;
  } catch {
    return null;
  }
}
