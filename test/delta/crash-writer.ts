/**
 * Run by crash.test.ts as a process of its own, to be killed at a failpoint: makes a fixed history of
 * changes in the env at argv[2], the object at argv[3], and says on stdout how far it came: "c 5": change
 * 5 was answered; "f 5": changes up to 5 were flushed.
 */
import { writeSync } from 'node:fs';
import type { ObjectId } from '../../src/base/ids.ts';
import { O_CLOEXEC } from '../../src/base/mode.ts';
import { openDelta } from '../../src/driver/delta/open-delta.ts';
import { AT_FDCWD, native } from '../../src/native/binding.ts';
import { historyStep, STEPS } from './crash-history.ts';

const [, , envDir = '', object = ''] = process.argv;
const say = (text: string) => writeSync(1, `${text}\n`);

async function main(): Promise<void> {
  const openObject = (_id: ObjectId) => native.openAt(AT_FDCWD, object, O_CLOEXEC, 0);
  const onError = (error: Error) => {
    throw error;
  };
  const options = { openObject, onError, checkpointMs: 1_000_000 };
  let delta = await openDelta(envDir, options);
  for (let step = 0; step < STEPS; step++) {
    await historyStep(delta, step);
    say(`c ${step}`);
    if (step % 5 === 4) {
      if ((await delta.flush()) !== 0) throw new Error('flush');
      say(`f ${step}`);
    }
    if (step % 8 === 7) await delta.checkpoint();
    if (step % 11 === 10) {
      await delta.close();
      delta = await openDelta(envDir, options);
    }
  }
  await delta.close();
  say('end');
}

await main();
