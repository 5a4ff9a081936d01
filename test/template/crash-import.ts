/**
 * A program of crash.test.ts: imports, and kills itself at the N-th step.
 * Arguments: root, name, source, N (0: never).
 */

import { importTemplate } from '../../src/manager/templates/import.ts';
import { openStore } from '../../src/store/store.ts';

const [root = '', name = '', source = '', at = '0'] = process.argv.slice(2);
const store = await openStore(root, { write: true });
let step = 0;
await importTemplate(store, name, source, {
  progress({ phase }) {
    step++;
    if (step !== Number(at)) return;
    console.log(phase);
    process.kill(process.pid, 'SIGKILL');
  },
});
await store.close();
