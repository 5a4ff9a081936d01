/** `byref stale`: lists processes that still run, map or have open what a patch replaced, and says what to restart. */
import { readFileSync, readlinkSync } from 'node:fs';
import { type Ino, nameToText } from '../../base/ids.ts';
import type { GoneFile } from '../../ipc/protocol.ts';
import type { EnvRow, Store, TemplateRow } from '../../store/store.ts';
import { findDriver } from '../envs/spawn.ts';
import { type FileUser, filesInUse } from './in-use.ts';

/** A process that uses an old file. */
export interface StaleFile {
  readonly env: string;
  readonly pid: number;
  readonly program: string;
  /** How the process uses it: it maps the file (runs it, or has it loaded), or has it open. */
  readonly use: FileUser['use'];
  /** The path that the file had. */
  readonly path: string;
  /** SHA-256 of the old bytes; '' for an empty file. */
  readonly object: string;
  readonly template: string;
  /** The last version that has this file, and the one that the env sees now; null: it no longer has the template. */
  readonly version: number;
  readonly current: number | null;
  /** The thing to restart so that the new file is used: the program, or the whole env if its init or C library changed. */
  readonly restart: 'program' | 'env';
}

/** Finds the old files in use. @param rows the envs to look at @throws ByrefError 'locked' if a driver does not answer */
export async function staleFiles(store: Store, rows: readonly EnvRow[]): Promise<StaleFile[]> {
  const gone = await goneFiles(store, rows);
  const inUse = filesInUse(store.root);
  const found: StaleFile[] = [];
  for (const row of rows) {
    for (const file of gone.get(row.id) ?? []) {
      const users = inUse.get(row.id)?.get(file.ino) ?? [];
      const origin = users.length === 0 ? null : originOf(store, row, file.ino as Ino);
      if (origin === null) continue;
      for (const { pid, program, use } of users) {
        const restart = restartOf(origin, pid);
        found.push({
          env: row.name,
          pid,
          program,
          use,
          object: file.object,
          ...origin.shown,
          restart,
        });
      }
    }
  }
  return found;
}

/** Asks the drivers for inodes that a flip took away and that the kernel still holds for somebody. */
async function goneFiles(store: Store, rows: readonly EnvRow[]): Promise<Map<number, GoneFile[]>> {
  const files = new Map<number, GoneFile[]>();
  for (const shard of new Set(rows.map((row) => row.shard))) {
    const driver = await findDriver(store.root, shard);
    if (driver === null) continue;
    try {
      for (const file of (await driver.call('held', null)).gone) {
        files.set(file.env, [...(files.get(file.env) ?? []), file]);
      }
    } finally {
      driver.close();
    }
  }
  return files;
}

interface Origin {
  readonly shown: Pick<StaleFile, 'path' | 'template' | 'version' | 'current'>;
  /** The file is from the env's OS template. */
  readonly isOs: boolean;
}

/** Finds where the file is from. Null if no version that is kept has it: then it can't be a template's. */
function originOf(store: Store, row: EnvRow, ino: Ino): Origin | null {
  const origin = store.fileOrigin(ino);
  const template = origin === null ? null : store.catalog.byId(origin.templateId);
  if (origin === null || origin.versions === null || template === null) return null;
  const { since, until } = origin.versions;
  const last = store
    .versions(template.id)
    .filter(({ number }) => number >= since && number < until)
    .at(-1);
  const entry = store.resolveStack(row).find(({ templateId }) => templateId === template.id);
  const path = `${store.dirPath(origin.dir) ?? '?'}/${nameToText(origin.name)}`;
  const version = last?.number ?? since;
  return {
    shown: { path, template: nameOf(store, template), version, current: entry?.version ?? null },
    isOs: row.stack[0]?.templateId === template.id,
  };
}

/** Returns the name to show for a template. A composition is shown as the stack that it is made of. */
const nameOf = (store: Store, { id, name, kind }: TemplateRow): string =>
  kind === 'composition' ? (store.versions(id)[0]?.label ?? name) : name;

/** The C library and its loader, which every program of the env maps; and init systems. */
const LIBC = /\/(libc[.]so[.]6|libc-\d[^/]*[.]so|ld-linux[^/]*|ld-musl[^/]*|libc[.]musl[^/]*)$/;
const INIT = /\/(systemd|init|runit|openrc-init|s6-svscan|tini|dumb-init)$/;

function restartOf({ shown, isOs }: Origin, pid: number): StaleFile['restart'] {
  if (!isOs) return 'program';
  return LIBC.test(shown.path) || INIT.test(shown.path) || isInit(pid) ? 'env' : 'program';
}

/** True for the first process of a PID namespace of its own. */
function isInit(pid: number): boolean {
  try {
    const own = readlinkSync(`/proc/${pid}/ns/pid`);
    return own !== readlinkSync('/proc/self/ns/pid') && nestedPid(pid) === 1;
  } catch {
    return false;
  }
}

/** The process's number in its innermost PID namespace. */
const nestedPid = (pid: number): number =>
  Number(/^NSpid:.*?(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0);
