import { existsSync, readdirSync, readFileSync } from 'node:fs';

const procText = (file: string): string => {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
};

/** Mount points below a directory, as the kernel lists them. */
export const mountsBelow = (directory: string): string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((mountpoint) => mountpoint.startsWith(`${directory}/`));

/** "pid command line" of all processes. */
const processes = (): string[] =>
  readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map((pid) => `${pid} ${procText(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim()}`);

/** "pid title" of the drivers and the holder of a root. */
export const processesOf = (root: string): string[] =>
  processes()
    .filter((line) => / byref-(driver|holder) /.test(line))
    .filter((line) => ` ${line} `.includes(` ${root} `));

/** "pid command line" of the processes that were started with a directory, or a path in it, as argument. */
export const processesNaming = (directory: string): string[] =>
  processes().filter(
    (line) => `${line} `.includes(`${directory} `) || line.includes(`${directory}/`),
  );

/** Temporary directories, such as those of template builds, whose process is gone. */
export const abandonedWorkplaces = ({ tmp }: { readonly tmp: string }): string[] =>
  readdirSync(tmp).filter((name) => {
    const pid = /^byref-[a-z]+-(\d+)-/.exec(name)?.[1];
    return pid !== undefined && !existsSync(`/proc/${pid}`);
  });

/** How many descriptors a process has open. */
export const openDescriptors = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

/** Resident memory of a process, bytes. */
export const residentBytes = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(procText(`/proc/${pid}/status`))?.[1] ?? 0) * 1024;
