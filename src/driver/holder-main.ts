import type { HolderVerbs } from '../control/protocol.ts';
import { RunDir } from '../control/run-dir.ts';
import { ControlServer } from '../control/server.ts';
import { guardFaults } from '../observe/fault-guard.ts';
import { openLog } from '../observe/log.ts';
import { Holder } from './holder.ts';
import { IdleExit } from './idle-exit.ts';
import { beTheOnlyOne, endOnSignal, resistOomKiller, startOrExit } from './process.ts';

/** How often to look for devices that a dead driver left and nobody mounts any more. */
const SWEEP_MS = 30_000;

/** `byref-holder ROOT`: the process that keeps mounts alive when a driver dies. */
async function main(root: string): Promise<void> {
  const log = openLog({ process: 'holder' });
  guardFaults(log);
  const files = new RunDir(root).holder();
  beTheOnlyOne(files, log);
  resistOomKiller(log);
  process.title = `byref-holder ${root}`;

  const holder = new Holder(root, log, () => idle.touch());
  const end = (): void => {
    log.info({}, 'ending');
    server.close();
    process.exit(0);
  };
  const isIdle = (): boolean => holder.size === 0 && server.connections === 0;
  const idle = new IdleExit(isIdle, end);
  const handlers = holder.handlers(end);
  const server = await ControlServer.listen<HolderVerbs>(files.socket, handlers, idle.touch);
  idle.touch();
  endOnSignal(log, () => holder.size, end);
  setInterval(() => holder.sweep(), SWEEP_MS).unref();
  log.info({ root }, 'holder ready');
}

const [root] = process.argv.slice(2);
if (!root) throw new Error('usage: byref-holder ROOT');
await startOrExit(() => main(root));
