import { DRIVER_ARGS } from '../../ipc/driver-args.ts';
import { driverWords } from '../../ipc/driver-words.ts';
import type { DriverVerbs } from '../../ipc/protocol.ts';
import { RunDir } from '../../ipc/run-dir.ts';
import { ControlServer } from '../../ipc/server.ts';
import { native } from '../../native/binding.ts';
import { guardFaults } from '../../observe/fault-guard.ts';
import { openLog } from '../../observe/log.ts';
import { openStore } from '../../store/store.ts';
import { collectEarly } from './garbage.ts';
import { HolderLink } from './holder-link.ts';
import { IdleExit } from './idle-exit.ts';
import { beTheOnlyOne, endOnSignal, resistOomKiller, startOrExit } from './process.ts';
import { Rest } from './rest.ts';
import { Shard } from './shard.ts';

/**
 * Runs `byref-driver ROOT SHARD`, which serves the mounts of one shard's envs. It starts no child and opens
 * nothing below its own mounts, so that it can never wait for itself. Files of the root it opens from its working directory,
 * which stays the root if something, such as one of its envs, is mounted over that or a directory above it.
 */
async function main(root: string, shard: number): Promise<void> {
  collectEarly();
  const log = openLog({ process: 'driver', shard });
  const faults = guardFaults(log);
  const run = new RunDir(root);
  const files = run.driver(shard);
  beTheOnlyOne(files, log);
  resistOomKiller(log);
  tellDeaths(shard);
  process.title = `byref-driver ${root} ${shard}`;

  process.chdir(root);
  const store = await openStore(root, { write: false, at: '.' });
  const resumes = process.env['BYREF_RESUME'] !== '0';
  const words = resumes ? driverWords(root, shard) : [];
  const holder = new HolderLink(run.holder().socket, log, words);
  const rest = new Rest();
  const onChange = (): void => {
    idle.touch();
    rest.touch();
  };
  let server: ControlServer<DriverVerbs> | null = null;
  const isIdle = (): boolean => served.size === 0 && (server?.connections ?? 0) === 0;
  const served = new Shard({ store, shard, holder, log, faults, onChange });
  const end = (): void => {
    log.info({}, 'ending');
    server?.close();
    process.exit(0);
  };
  /**
   * Ends as if killed, once all mounts are left to another driver: exit() would end the checkpoint thread first, and if that is in a transaction
   * of LMDB, wait for good, as LMDB's clean-up takes the lock that the thread holds.
   */
  const vanish = (): void => {
    log.info({}, 'ending');
    process.kill(process.pid, 'SIGKILL');
  };
  const idle = new IdleExit(isIdle, end);
  if (resumes) await served.goOn();
  const handlers = served.handlers(end, vanish);
  server = await ControlServer.listen<DriverVerbs>(files.socket, handlers, DRIVER_ARGS, idle.touch);
  idle.touch();
  endOnSignal(log, () => served.size, end);
  log.info({ root }, 'driver ready');
}

/** Has a line in the log say why, if a signal ends this process. */
function tellDeaths(shard: number): void {
  const fields = { level: 60, pid: process.pid, process: 'driver', shard };
  native.tellDeaths(`${JSON.stringify(fields).slice(0, -1)},"msg":"`, '"}\n', 0);
}

const [root, shard] = process.argv.slice(2);
if (!root || !shard) throw new Error('usage: byref-driver ROOT SHARD');
void startOrExit(() => main(root, Number(shard)));
