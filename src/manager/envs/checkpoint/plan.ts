/** Says before anything is done what of a running env can't be put into files. */
import { ByrefError } from '../../../base/error.ts';
import { procLink, procNames, procText } from '../../../base/proc.ts';
import type { EnvRow, Store } from '../../../store/store.ts';
import type { BundleDir } from '../runtime/bundle-dir.ts';
import { type EnvProcess, processesOf } from '../runtime/processes.ts';

/** How long the exec server may take to end. */
const END_MS = 5_000;
const POLL_MS = 5;

/** Ends the exec server of an env, which nobody uses: the next `byref exec` starts another one. */
export async function endExecServer(first: number): Promise<void> {
  const servers = processesOf(first).filter((each) => isExecServer(each, first));
  for (const { pid } of servers) {
    if (procText(`/proc/${pid}/task/${pid}/children`).trim() !== '') continue;
    process.kill(pid, 'SIGKILL');
    const end = performance.now() + END_MS;
    while (procText(`/proc/${pid}/stat`) !== '' && performance.now() < end)
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

const isExecServer = ({ pid, parent }: EnvProcess, first: number): boolean =>
  pid !== first && parent !== first && procLink(`/proc/${pid}/exe`).includes('byref-exec-server');

/** @throws ByrefError 'unsupported' with what can't be put into files, and which process has it */
export function refuseUnmovable(store: Store, row: EnvRow, bundle: BundleDir): void {
  const first = bundle.firstProcess();
  if (first === null) return;
  const found = reasons(store, row, bundle, first);
  if (found.length === 0) return;
  const message = `the processes of ${row.name} can't be put into files: ${found.join('; ')}`;
  throw new ByrefError('unsupported', message, `Mend that, or stop it: byref stop ${row.name}`);
}

function reasons(store: Store, row: EnvRow, bundle: BundleDir, first: number): string[] {
  const { privileged, network } = store.settings(row.id);
  const { attendant = '', mounted = true } = bundle.note() ?? {};
  const found: string[] = [];
  if (privileged) found.push('it is privileged, and has the machine’s devices and namespaces');
  if (network === 'host') found.push('it has the machine’s network, which stays here');
  if (attendant !== '')
    found.push('it runs in the foreground of byref run, on that input and output');
  if (!mounted) found.push('it was mounted before it was started, and others may change its files');
  const tree = treeOf(processesOf(first), first);
  for (const each of tree.outside)
    found.push(
      `${each.command.trim()} (${each.pid}) was run in it from outside: byref exec or enter`,
    );
  for (const each of tree.inside) found.push(...nested(each, first), ...held(each));
  return found;
}

/** Tells the processes that came of the first one from those that were put into the env. */
function treeOf(
  processes: readonly EnvProcess[],
  first: number,
): { readonly inside: EnvProcess[]; readonly outside: EnvProcess[] } {
  const known = new Map(processes.map((each) => [each.pid, each]));
  const comesOf = ({ pid, parent }: EnvProcess): boolean => {
    if (pid === first) return true;
    const above = known.get(parent);
    return above !== undefined && comesOf(above);
  };
  const inside = processes.filter(comesOf);
  return { inside, outside: processes.filter((each) => !inside.includes(each)) };
}

/** What of descriptors CRIU can't do, by what they lead to (CRIU 4.2: "What cannot be checkpointed"). */
const UNMOVABLE: readonly (readonly [RegExp, string])[] = [
  [
    /^\/dev\/(?!null$|zero$|full$|u?random$|tty$|console$|ptmx$|pts\/|shm\/|mqueue\/)/,
    'has a device open',
  ],
  [
    /^anon_inode:\[?(?:bpf|perf_event|userfaultfd|io_uring|fanotify|kvm)/,
    'has something of the kernel open',
  ],
];

/**
 * Kinds of namespaces that CRIU puts into files for an env as a whole only, and what systemd calls what gives a service one of its own. With mount
 * namespaces beside the env's, CRIU 4.2 takes one mount for another when it restores what inotify watches.
 */
const WHOLE: Readonly<Record<string, string>> = {
  mnt: 'ProtectSystem, PrivateTmp and what is like them',
  uts: 'ProtectHostname',
  ipc: 'PrivateIPC',
  user: 'PrivateUsers',
  pid: 'PrivatePIDs',
  cgroup: 'ProtectControlGroups=private',
};

function nested({ pid, command, service }: EnvProcess, first: number): string[] {
  const own = Object.keys(WHOLE).filter((kind) => {
    const namespace = procLink(`/proc/${pid}/ns/${kind}`);
    return namespace !== '' && namespace !== procLink(`/proc/${first}/ns/${kind}`);
  });
  if (own.length === 0) return [];
  const settings = own.map((kind) => WHOLE[kind]).join(', ');
  const how = service === null ? '' : ` (for ${service}, see ${settings} in systemd.exec(5))`;
  return [`${command.trim()} (${pid}) has a namespace of its own: ${own.join(', ')}${how}`];
}

function held({ pid, command }: EnvProcess): string[] {
  return procNames(`/proc/${pid}/fd`).flatMap((fd) => {
    const target = procLink(`/proc/${pid}/fd/${fd}`);
    const [, what] = UNMOVABLE.find(([pattern]) => pattern.test(target)) ?? [];
    return what === undefined
      ? []
      : [`${command.trim()} (${pid}) ${what} that can't be: ${target}`];
  });
}
