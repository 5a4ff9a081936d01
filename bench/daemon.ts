import { spawn } from 'node:child_process';
import { BYREF } from './byref-cli.ts';
import { pause } from './process.ts';
import type { StudyStage } from './studies/study.ts';

const START_MS = 20_000;

/** Starts a daemon of byref, and waits until it answers. @param env what names its root */
export async function startDaemon(
  stage: Pick<StudyStage, 'cleanup'>,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const child = spawn(BYREF, ['daemon'], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  stage.cleanup.defer('end the daemon', async () => {
    child.kill();
    for (let waited = 0; child.exitCode === null && waited < START_MS; waited += 50)
      await pause(50);
  });
  let said = '';
  child.stdout.on('data', (bytes: Buffer) => (said += bytes.toString()));
  for (let waited = 0; !said.includes('"msg":"ready"'); waited += 50) {
    if (waited > START_MS || child.exitCode !== null) throw new Error(`no daemon: ${said}`);
    await pause(50);
  }
}
