/** The exec server of an env (native/exec-server.c), which runs programs in it without the runtime's setting all up for each. */
import { createConnection } from 'node:net';
import path from 'node:path';
import type { BundleDir } from './bundle-dir.ts';
import { asList, baseEnvironment } from './oci-config.ts';
import type { OciProcess } from './oci-spec.ts';

/** The program, as the runtime finds it: the monitor passes it on as this descriptor. */
const PROGRAM = '/proc/self/fd/3';

/** A frame that asks the monitor for the server: its type, and no bytes (native/monitor.c). */
const WANTED = Buffer.from([2, 0, 0]);

/** Returns the socket at which the server listens, if it runs. */
export const execServerSocket = (bundle: BundleDir): string => path.join(bundle.path, 'exec.sock');

/** Returns what a server is asked to run a program, but for the umask, which comes first. */
export const serverRequest = ({ cwd, user, env, args }: OciProcess): string[] => [
  cwd,
  String(user.uid),
  String(user.gid),
  (user.additionalGids ?? []).join(','),
  String(env.length),
  ...env,
  ...args,
];

/** Asks the monitor of an env for the server. It is done without where there is no monitor. @param first the env's first process */
export function startExecServer(bundle: BundleDir, first: OciProcess): void {
  const server: OciProcess = {
    terminal: false,
    user: { uid: 0, gid: 0 },
    args: [PROGRAM],
    env: asList(baseEnvironment('/root')),
    cwd: '/',
    capabilities: first.capabilities,
    noNewPrivileges: first.noNewPrivileges,
  };
  bundle.write('exec-server.json', JSON.stringify(server));
  const monitor = createConnection(path.join(bundle.path, 'attach.sock'));
  monitor.on('error', () => monitor.destroy());
  monitor.end(WANTED);
}
