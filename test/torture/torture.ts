/**
 * Writers in several envs, while drivers are killed, upgraded, and their template is patched and rolled back.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { TestRoot } from '../support/machine/root.ts';

const WRITER = fileURLToPath(new URL('writer.ts', import.meta.url));

/** What one run did. */
export interface Survived {
  kills: number;
  upgrades: number;
  patches: number;
  /** Calls of writers, each checked. */
  calls: number;
  /** What writers said of calls that failed, or of bytes that were wrong. */
  readonly errors: string[];
}

/** Runs writers in envs for some seconds. @param pauseMs between two kills; a driver may be killed before it has taken over */
export async function torture(
  root: TestRoot,
  {
    envs,
    seconds,
    pauseMs,
    seed,
  }: {
    readonly envs: number;
    readonly seconds: number;
    readonly pauseMs: number;
    readonly seed: number;
  },
): Promise<Survived> {
  const survived: Survived = { kills: 0, upgrades: 0, patches: 0, calls: 0, errors: [] };
  for (const version of ['one', 'two']) {
    const dir = root.directory(version);
    mkdirSync(path.join(dir, 'etc'), { recursive: true });
    writeFileSync(path.join(dir, 'etc/version'), `${version}\n`);
    await root.ok('template', 'import', 't', dir);
  }
  const names = Array.from({ length: envs }, (_, i) => `e${i}`);
  for (const name of names) await root.ok('create', name, '--os', 't');
  await root.ok('mount', ...names);
  const writers = names.map((name, i) => startWriter(root, name, seed + i, seconds));
  const until = Date.now() + seconds * 1000;
  let isPatched = false;
  for (let turn = 1; Date.now() < until; turn++) {
    await sleep(pauseMs);
    if (turn % 7 === 0) {
      await root.ok('daemon', 'upgrade');
      survived.upgrades++;
    } else if (turn % 5 === 0) {
      const move = isPatched ? ['rollback', 't'] : ['patch', 't', '--to', '2'];
      const { code } = await root.run(move);
      isPatched = !isPatched;
      if (code === 0) survived.patches++;
    } else if (killOne(root)) survived.kills++;
  }
  for (const { child, said } of writers) {
    const [code] = (child.exitCode === null ? await once(child, 'exit') : [child.exitCode]) as [
      number | null,
    ];
    if (code === 0) survived.calls += Number(said());
    else survived.errors.push(said());
  }
  return survived;
}

function startWriter(
  root: TestRoot,
  env: string,
  seed: number,
  seconds: number,
): { child: ChildProcess; said: () => string } {
  const dir = path.join(root.path, 'mnt', env, 'work');
  mkdirSync(dir);
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', WRITER, dir, String(seed), String(seconds)],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return { child, said: () => text.trim() };
}

/** Kills the driver, if there is one now. */
function killOne(root: TestRoot): boolean {
  const driver = root.processes().find((line) => line.includes('byref-driver'));
  if (driver === undefined) return false;
  try {
    process.kill(Number.parseInt(driver, 10), 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}
