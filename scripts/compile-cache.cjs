/**
 * Keeps the machine code that V8 makes of a CommonJS bundle beside it, for bin/bundle.cjs:
 *
 *     compile-cache.cjs BUNDLE ARGUMENTS...   runs it, and keeps what ran
 *     compile-cache.cjs --all BUNDLE          keeps all of it, and runs nothing
 */
const { readFileSync, writeFileSync } = require('node:fs');
const { createRequire, wrap } = require('node:module');
const path = require('node:path');
const { setFlagsFromString } = require('node:v8');
const { Script } = require('node:vm');

const isAll = process.argv[2] === '--all';
const bundle = path.resolve(process.argv.splice(2, isAll ? 2 : 1).at(-1));
if (isAll) setFlagsFromString('--no-lazy');
const script = new Script(wrap(readFileSync(bundle, 'utf8')), { filename: bundle });
// V8 takes no code that was made under other flags than those it runs with.
if (isAll) setFlagsFromString('--lazy');
const keep = () => writeFileSync(bundle.replace(/[.]cjs$/, '.cache'), script.createCachedData());
if (isAll) keep();
else run();

function run() {
  process.once('exit', keep);
  const module_ = { exports: {} };
  const load = createRequire(bundle);
  script.runInThisContext()(module_.exports, load, module_, bundle, path.dirname(bundle));
}
