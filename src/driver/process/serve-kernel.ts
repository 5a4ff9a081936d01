import { ByrefError } from '../../base/error.ts';
import { mountLabel } from '../../ipc/mount-table.ts';
import type { MountRequest } from '../../ipc/protocol.ts';
import { native } from '../../native/binding.ts';
import type { Log } from '../../observe/log.ts';
import type { EnvFileSystem } from '../core/api.ts';
import type { LeftMount } from '../core/resume/records.ts';
import { traced } from '../core/traced.ts';
import { mountDevice, openDevice, unmount } from '../fuse/mount.ts';
import { Session } from '../fuse/session.ts';
import type { EnvParts } from './env-parts.ts';
import { KeptMount } from './resume/kept-mount.ts';
import type { MountNote } from './resume/mount-note.ts';
import { coreOf, describe, type ServedEnv } from './served-env.ts';
import { WriterTrace } from './writers/writer-trace.ts';

/** What requests wait for on a full disk. */
const MAKING_ROOM = 'a checkpoint, since the disk of the root is full';

/** A mount that another driver made, and that this one goes on with. */
export interface LeftEnv {
  /** This process's descriptor of its connection. */
  readonly device: number;
  readonly note: MountNote;
  readonly kept: KeptMount;
  readonly mount: LeftMount;
}

/** Mounts the env over /dev/fuse. Resolves when the kernel may use it. */
export async function serveKernel(
  root: string,
  parts: EnvParts,
  request: MountRequest,
  log: Log,
): Promise<ServedEnv> {
  const kept = KeptMount.create(root, request.env);
  try {
    const device = mountedDevice(root, request);
    const served = new KernelConnection(parts, request, log, { device, kept });
    await served.ready();
    const { granted } = served.session;
    const info = describe(parts, request, granted.passthrough);
    kept.note({ request, granted, info, stacks: [parts.stack] });
    return served.env(info);
  } catch (error) {
    kept.end();
    throw error;
  }
}

/**
 * Goes on with an env that another driver served until it was killed. The first requests that come are those that it left
 * unanswered.
 */
export function resumeKernel(parts: EnvParts, log: Log, left: LeftEnv): ServedEnv {
  const { request, info } = left.note;
  return new KernelConnection(parts, request, log, left).env(info);
}

/** One connection to the kernel, with the env's filesystem behind it. */
class KernelConnection {
  readonly session: Session;
  private readonly mountpoint: string;
  private readonly device: number;
  private readonly kept: KeptMount;
  private readonly trace: WriterTrace | null;
  // Set at INIT, which comes before the session is ready; of a connection that goes on, at once.
  private fs!: EnvFileSystem;

  constructor(
    parts: EnvParts,
    request: MountRequest,
    log: Log,
    { device, kept, mount, note }: Pick<LeftEnv, 'device' | 'kept'> & Partial<LeftEnv>,
  ) {
    const { env, mountpoint } = request;
    const trace = request.trace ? new WriterTrace(kept.writers()) : null;
    this.mountpoint = mountpoint;
    this.device = device;
    this.kept = kept;
    this.trace = trace;
    this.session = new Session({
      devFd: device,
      mountpoint,
      noPassthrough: !request.passthrough,
      allowIdmap: true,
      fileSystem: (ports) => {
        const core = coreOf(parts, { ...ports, records: kept.records, left: mount ?? null });
        this.fs = trace === null ? core : traced(core, trace, mount?.files ?? []);
        return this.fs;
      },
      ...(note === undefined ? {} : { resume: note.granted }),
      identify: trace?.identify ?? null,
      log: (message, error) => log.error({ env, err: error }, message),
      onSlow: ({ waitsFor, ...slow }) => {
        const fields = { env, name: parts.row.name, ...slow };
        if (waitsFor === null) log.warn(fields, 'a slow request was answered');
        else log.warn({ ...fields, waitsFor }, 'a request takes long');
      },
    });
    parts.delta.onShort = (made) => void made.then(this.session.hold(MAKING_ROOM));
  }

  async ready(): Promise<void> {
    try {
      await this.session.ready;
    } catch (error) {
      await this.abort(() => Promise.resolve());
      throw error;
    }
  }

  env(info: ServedEnv['info']): ServedEnv {
    const { session, fs, trace, device, kept } = this;
    return {
      info,
      fs,
      trace,
      device,
      kept,
      stats: () => session.stats(),
      ended: session.ended,
      hold: () => session.hold(),
      leave: () => session.detach(),
      abort: (drop) => this.abort(drop),
    };
  }

  private async abort(drop: () => Promise<void>): Promise<void> {
    // The connection ends when the last descriptor is closed; unmounting then waits for nothing.
    await this.session.detach();
    await drop();
    unmount(this.mountpoint, true);
  }
}

function mountedDevice(root: string, { env, mountpoint, mountFlags }: MountRequest): number {
  const device = openDevice();
  if (device < 0) {
    const message = `/dev/fuse can not be opened (errno ${-device})`;
    throw new ByrefError('unsupported', message, 'See what byref doctor says of fuse.device.');
  }
  const result = mountDevice(device, mountpoint, mountLabel(root, env), mountFlags);
  if (result === 0) return device;
  native.close(device);
  const message = `mounting on ${mountpoint} failed (errno ${-result})`;
  throw new ByrefError(
    'unsupported',
    message,
    'See what byref doctor says of privileges and fuse.',
  );
}
