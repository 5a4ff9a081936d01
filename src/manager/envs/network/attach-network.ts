/** Connects running envs to the bridge, and notes in the bundle how, so that any later command can disconnect them. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../../base/error.ts';
import { failpoint } from '../../../base/failpoints.ts';
import { MNT_DETACH, UMOUNT_NOFOLLOW } from '../../../base/mount-flags.ts';
import { RunDir } from '../../../ipc/run-dir.ts';
import { native } from '../../../native/binding.ts';
import { withLock } from '../../../store/with-lock.ts';
import type { GivenNetwork } from '../managed-files.ts';
import type { BundleDir } from '../runtime/bundle-dir.ts';
import {
  BRIDGE,
  bridgeNetwork,
  type NetworkSettings,
  type PlaceOnBridge,
  runtimeArguments,
} from './bridge.ts';
import { type BridgePlace, ownNamespace } from './bridge-place.ts';
import { BridgePorts } from './bridges.ts';
import { type Attachment, type CniResult, connect, disconnect } from './cni.ts';
import { DOMAIN, labelOf, type NamedAddress, publishNames } from './names.ts';
import { type PortMapping, parsePorts } from './ports.ts';
import { bridgeResolver, resolverText } from './resolver.ts';
import { ifbOf, type RateLimits, removeIfb, type ShapedDevices, shape } from './shape.ts';

/** How an env is connected: `network.json` in its bundle. */
interface NetworkNote {
  /** The env's name, for messages. */
  readonly env: string;
  readonly attachment: Attachment;
  readonly ports: readonly string[];
  /** Where its bridge is. */
  readonly place?: BridgePlace;
  /** True from before its rate was first limited on. */
  readonly shaped?: boolean;
  /** Milliseconds since the epoch. */
  readonly sinceMs: number;
  /** null until it is known. */
  readonly result: CniResult | null;
}

const FILE = 'network.json';
const INTERFACE = 'eth0';

/** The file in a bundle on which the monitor mounts the env's network namespace, so that it stays while it is connected. */
export const namespaceOf = (bundle: BundleDir): string => path.join(bundle.path, 'netns');

/**
 * Connects an env, and makes its name known.
 * @param say hears, in sentences, what of its names is not as one would expect
 * @param wanted the place that it has to have; null: any that is free
 * @throws ByrefError 'busy' if another env has published one of its ports, else as connect(); then nothing is left of it
 */
export async function attachNetwork(
  root: string,
  env: string,
  bundle: BundleDir,
  settings: NetworkSettings,
  say: (text: string) => void,
  wanted: PlaceOnBridge | null = null,
): Promise<GivenNetwork> {
  const run = new RunDir(root);
  const machine = path.dirname(run.path);
  const attachmentTo = (bridge: string): Attachment => ({
    network: bridgeNetwork(settings, path.join(machine, 'addresses'), bridge),
    containerId: `${path.basename(run.path)}-${bundle.name}`,
    namespace: namespaceOf(bundle),
    interface: INTERFACE,
    runtime: runtimeArguments(settings, wanted),
  });
  const place = { bridge: BRIDGE, namespace: ownNamespace() };
  const begun = { env, ports: settings.ports, place, sinceMs: Date.now() };
  // First, so that a kill between leaves nothing that is not known of.
  await withLock(path.join(machine, 'ports.lock'), 'file', () => {
    refuseTaken(machine, bundle, settings.ports);
    write(bundle, { ...begun, attachment: attachmentTo(BRIDGE), result: null });
  });
  const { containerId } = attachmentTo(BRIDGE);
  const bridge = await new BridgePorts(machine, place).take(containerId, bundle.path);
  const attachment = attachmentTo(bridge);
  const noted = { ...begun, attachment };
  const makeConnection = async (): Promise<CniResult> => {
    const made = await connect(attachment);
    write(bundle, { ...noted, result: made });
    return made;
  };
  const result = isFirst(machine, noted)
    ? await withLock(path.join(machine, 'first.lock'), 'file', makeConnection)
    : await makeConnection();
  await limitNetwork(bundle, settings.limits);
  const gateway = result.ips?.[0]?.gateway ?? null;
  const names =
    gateway !== null && (await nameIt(machine, bundle, place, gateway, say))
      ? { server: gateway, domain: DOMAIN }
      : null;
  return { address: addressOf(bundle), resolver: bridgeResolver(resolverText(), names) };
}

/**
 * True while no env like this one is connected. Plugins make what all share (the bridge, chains of the packet filter) when they
 * first need it, and two that do so at once fail, or make it twice.
 */
const isFirst = (
  machine: string,
  { place, ports }: Pick<NetworkNote, 'place' | 'ports'>,
): boolean =>
  !bundlesOf(machine).some((bundle) => {
    const note = noteIn(bundle);
    return (
      note?.result != null &&
      note.place?.bridge === place?.bridge &&
      note.place?.namespace === place?.namespace &&
      (ports.length === 0 || note.ports.length > 0)
    );
  });

/** Limits the rate of a connected env, changes the limit, or takes it back. @throws ByrefError 'unsupported' */
export async function limitNetwork(bundle: BundleDir, limits: RateLimits): Promise<void> {
  const note = noteOf(bundle);
  const devices = note === null ? null : devicesOf(note);
  const isLimited = limits.ingressBytes !== null || limits.egressBytes !== null;
  if (note === null || devices === null || !(isLimited || note.shaped === true)) return;
  // First, so that a kill between leaves nothing that is not known of.
  write(bundle, { ...note, shaped: true });
  await shape(devices, limits);
  failpoint('rate-set');
}

/** Returns the machine's devices of an env; null if it is not connected. */
function devicesOf({ result, attachment }: NetworkNote): ShapedDevices | null {
  const [, cable] = result?.interfaces?.filter(({ sandbox }) => !sandbox) ?? [];
  return cable === undefined ? null : { cable: cable.name, ifb: ifbOf(attachment.containerId) };
}

/** Makes the env's name known. @returns false if names are not known here, which is said */
async function nameIt(
  machine: string,
  bundle: BundleDir,
  place: BridgePlace,
  gateway: string,
  say: (text: string) => void,
): Promise<boolean> {
  let names: NamedAddress[] = [];
  const list = (): NamedAddress[] => {
    names = namesAt(machine, place);
    return names;
  };
  const why = await publishNames(machine, place, list, gateway);
  const env = noteOf(bundle)?.env ?? '';
  if (why !== null) {
    say(`${env} does not know other envs by name: ${why}`);
    return false;
  }
  const label = labelOf(env);
  const first = names.find(({ name }) => name === label);
  if (first?.address !== addressOf(bundle))
    say(
      `${env} is not found by name: ${label === null ? "its name can't be one in a network" : `${label}.${DOMAIN} is another env’s`}`,
    );
  return true;
}

/** Returns the names of all envs on a bridge, of all roots; those that were connected first come first. */
function namesAt(machine: string, { bridge, namespace }: BridgePlace): NamedAddress[] {
  return bundlesOf(machine)
    .map((bundle) => ({ note: noteIn(bundle), ended: existsSync(path.join(bundle, 'ended')) }))
    .flatMap(({ note, ended }) => (note === null || ended ? [] : [note]))
    .filter(({ place }) => place?.bridge === bridge && place.namespace === namespace)
    .sort((a, b) => a.sinceMs - b.sinceMs)
    .flatMap(({ env, result }) => {
      const [name, address] = [labelOf(env), addressIn(result)];
      return name === null || address === null ? [] : [{ name, address }];
    });
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
  if (note !== null) {
    const devices = devicesOf(note);
    if (note.shaped === true && devices !== null) await removeIfb(devices);
    await disconnect(note.attachment, note.result ?? {});
    await forget(bundle, note);
  }
  const namespace = namespaceOf(bundle);
  if (existsSync(namespace)) native.umount(namespace, MNT_DETACH | UMOUNT_NOFOLLOW);
  if (note?.place !== undefined)
    await new BridgePorts(machineOf(bundle), note.place).giveBack(note.attachment.containerId);
}

/** Returns the run directory of the machine. */
const machineOf = (bundle: BundleDir): string => path.dirname(path.dirname(bundle.path));

/** Takes an env's name back. */
async function forget(bundle: BundleDir, note: NetworkNote): Promise<void> {
  const { place } = note;
  // An older byref made notes without a place, and no names.
  if (place === undefined) return;
  const machine = machineOf(bundle);
  // Names are those of notes with a result.
  write(bundle, { ...note, result: null });
  failpoint('stop-disconnected');
  await publishNames(machine, place, () => namesAt(machine, place), null);
}

/** Returns the address of a running env, without its prefix; null if it has none. */
export const addressOf = (bundle: BundleDir): string | null =>
  addressIn(noteOf(bundle)?.result ?? null);

function addressIn(result: CniResult | null): string | null {
  const [first] = result?.ips ?? [];
  return first === undefined ? null : (first.address.split('/')[0] ?? null);
}

/** Returns the place of a running env on the bridge; null if it has none. */
export function placeOf(bundle: BundleDir): PlaceOnBridge | null {
  const { ips, interfaces } = noteOf(bundle)?.result ?? {};
  const mac = interfaces?.find(({ sandbox }) => sandbox)?.mac;
  const address = ips?.[0]?.address;
  return mac === undefined || address === undefined ? null : { address, mac };
}

const noteOf = (bundle: BundleDir): NetworkNote | null => noteIn(bundle.path);

function noteIn(bundle: string): NetworkNote | null {
  try {
    return JSON.parse(readFileSync(path.join(bundle, FILE), 'utf8')) as NetworkNote;
  } catch {
    return null;
  }
}
