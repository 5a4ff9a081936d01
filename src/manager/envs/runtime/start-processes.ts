/** Starts the processes of an env that is mounted: life-cycle.ts says what their life is. */
import { failpoint } from '../../../base/failpoints.ts';
import { procText } from '../../../base/proc.ts';
import { processIdentity } from '../../../base/process-identity.ts';
import type { EnvSettings, NetworkKind } from '../../../codec/env-settings.ts';
import { monitorProgram } from '../../../native/binding.ts';
import { makeWork } from '../checkpoint/dump.ts';
import { bringLoopbackUp, lockNetwork, type NetworkLock } from '../checkpoint/network-lock.ts';
import { imagesIn, openImages } from '../checkpoint/record.ts';
import { setUserMap } from '../checkpoint/user-map.ts';
import { devicesOf } from '../devices.ts';
import { type KeptEnv, keepFiles, keepHostname, machineNetwork } from '../managed-files.ts';
import { attachNetwork, namespaceOf } from '../network/attach-network.ts';
import type { PlaceOnBridge } from '../network/bridge.ts';
import { resolvedText } from '../network/resolver.ts';
import { BundleDir, refuseClosed } from './bundle-dir.ts';
import { groupOf, makeNamedGroup } from './cgroups.ts';
import { makeDeviceNodes } from './device-nodes.ts';
import { type IdRange, idRangesOf } from './id-ranges.ts';
import { initProgram } from './init.ts';
import { disksOfEnvs, setWeight } from './io-limits.ts';
import { type Launch, launch, type Output, type Started } from './launch.ts';
import { clearAway } from './life-cycle.ts';
import { capabilitiesIn, capabilitiesOf, type InitProgram, ociConfig } from './oci-config.ts';
import type { OciHook } from './oci-spec.ts';
import { type MountedPlace, preparePlaces, releasePassing } from './places.ts';
import { filterFor } from './seccomp.ts';

/** An env that is to be started; it is mounted. */
export interface StartRequest extends KeptEnv {
  readonly settings: EnvSettings;
  readonly output: Output;
  /** True: it was mounted for this, and is to be unmounted when it is stopped. */
  readonly mounted: boolean;
  /** What is left to do of its first mount, which is done while the runtime is at work; null if nothing is. */
  readonly setUp: SetUpLeft | null;
  /** What its processes go on from; null: it begins. */
  readonly from: Asleep | null;
}

/** Processes in files. */
export interface Asleep {
  /** The directory of the checkpoint. */
  readonly directory: string;
  /** Where the env was on the bridge; null if it was on none. */
  readonly network: PlaceOnBridge | null;
}

/** The end of an env's first mount. */
export interface SetUpLeft {
  /** The host name that it gives the env. */
  readonly hostname: string;
  readonly finish: () => Promise<void>;
}

/** Starts an env. The caller has its lock. @throws ByrefError 'unsupported', 'error' with what the runtime says */
export async function startProcesses(request: StartRequest): Promise<Started> {
  const { root, env, settings } = request;
  if (!settings.privileged) refuseClosed(root);
  await clearAway(root, env.id);
  const init = initProgram(request.mountpoint, settings);
  const bundle = new BundleDir(root, env.id);
  const locks = new Set<NetworkLock>();
  try {
    const started = await launch(bundle, await prepare(bundle, init, request, locks));
    for (const lock of locks) await lock.release();
    releasePassing(bundle);
    const { ioWeight } = settings.limits;
    if (ioWeight !== null) setWeight(groupOf(root, env.id), ioWeight);
    return started;
  } catch (error) {
    for (const lock of locks) await lock.release();
    await clearAway(root, env.id);
    throw error;
  }
}

/** Makes the bundle. @param locks gets the lock of its network, which is to be released when it runs */
async function prepare(
  bundle: BundleDir,
  init: InitProgram,
  request: StartRequest,
  locks: Set<NetworkLock>,
): Promise<Launch> {
  const { root, env, mountpoint, settings, output, mounted, note, setUp, from } = request;
  const { privileged, limits, environment } = settings;
  const { isSystemd } = init;
  const network = networkOf(settings);
  const attendant = attendantOf(output);
  bundle.keepEnd(false);
  bundle.make({ mounted, isSystemd, startedMs: Date.now(), privileged, attendant });
  failpoint('start-noted');
  const ids = privileged ? null : await idRangesOf(root).take(bundle.path);
  if (ids !== null) bundle.openTo(ids);
  const cgroupsPath = groupOf(root, env.id);
  if (isSystemd) makeNamedGroup(cgroupsPath, ids);
  const places = await preparePlaces({ root, env: env.id, mountpoint, bundle, settings });
  failpoint('start-places');
  const devices = devicesOf(root, settings);
  const nodes = await makeDeviceNodes(bundle, settings.devices, devices, ids?.first ?? 0);
  const helper = init.helper === null ? null : bundle.makeHelper();
  // A machine may be a container itself, and its root lack some.
  const capabilities = privileged
    ? ownCapabilities()
    : capabilitiesOf(isSystemd, settings.capabilities);
  const shown = isSystemd && output === 'log' ? 'terminal' : output;
  const config = ociConfig({
    hostname: setUp?.hostname ?? keepHostname(request),
    init: { ...init, helper },
    environment,
    terminal: shown === 'terminal',
    ids,
    network,
    places: [...places, ...nodes],
    tmpfs: settings.tmpfs,
    resolved: isSystemd && network === 'bridge' ? bundle.makeResolved() : null,
    cgroupsPath,
    limits,
    disks: disksOfEnvs(root),
    devices,
    capabilities,
    seccomp: privileged ? null : filterFor(capabilities),
    hook: from === null ? null : hookOf(bundle),
  });
  bundle.write('config.json', JSON.stringify(config));
  failpoint('start-prepared');
  // A first mount writes them for the machine's network.
  if (setUp === null && network !== 'bridge') keepFiles(request, machineNetwork());
  const meanwhile = async (): Promise<void> => {
    await setUp?.finish();
    failpoint('start-set-up');
  };
  const connect = async (): Promise<void> => {
    if (from !== null) {
      await bringLoopbackUp(namespaceOf(bundle));
      if (network !== 'bridge') return;
      locks.add(await lockNetwork(namespaceOf(bundle)));
    }
    const given = await attachNetwork(root, env.name, bundle, settings, note, from?.network);
    keepFiles(request, given);
    bundle.tellResolved(resolvedText(given.resolver));
  };
  const besideRoot: MountedPlace[] =
    init.helper === null || helper === null
      ? places
      : [...places, { source: init.helper, place: helper, ids: 'machine' }];
  const images = from === null ? null : prepareImages(bundle, from, ids);
  return {
    root,
    env,
    mountpoint,
    output: shown,
    ids,
    places: images === null ? besideRoot : [...besideRoot, images],
    meanwhile: setUp === null ? null : meanwhile,
    connect: network === 'bridge' || from !== null ? connect : null,
    images: images?.place ?? null,
  };
}

const hookOf = (bundle: BundleDir): OciHook => ({
  path: monitorProgram(),
  args: ['byref-monitor', 'hook', bundle.path],
});

/** Has images mounted where the env's root user gets to them. */
function prepareImages(
  bundle: BundleDir,
  { directory }: Asleep,
  ids: IdRange | null,
): MountedPlace {
  const source = imagesIn(directory);
  makeWork(bundle);
  openImages(directory);
  if (ids !== null) setUserMap(source, ids);
  return { source, place: bundle.makePlace('images', '0'), ids: 'machine' };
}

/** Names the process that waits for the end of an env with this output; '' if none does. */
function attendantOf(output: Output): string {
  if (output === 'log') return '';
  return processIdentity(output === 'inherit' ? process.pid : output.pid);
}

const ownCapabilities = (): string[] =>
  capabilitiesIn(/^CapBnd:\s*([0-9a-f]+)$/m.exec(procText('/proc/self/status'))?.[1] ?? '0');

/** Returns the network of an env: what is set, or what envs have for which none is. */
export function networkOf({ network }: EnvSettings): NetworkKind {
  if (network !== null) return network;
  const wanted = process.env['BYREF_NETWORK'];
  return wanted === 'none' || wanted === 'host' ? wanted : 'bridge';
}
