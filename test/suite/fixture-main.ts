/** `fixture-main.ts os|app DIR`: builds the trees of the template cases, ready to be imported. */
import { makeFixture } from './template/index.ts';

const [, , kind, dir] = process.argv;
if ((kind !== 'os' && kind !== 'app') || !dir) throw new Error('usage: fixture-main.ts os|app DIR');
process.umask(0o022);
makeFixture(dir, kind);
