/**
 * Runs a CommonJS bundle with the arguments given, and keeps what V8 compiled of it beside it, for
 * bin/byref: `compile-cache.cjs BUNDLE ARGUMENTS...`
 */
const { readFileSync, writeFileSync } = require('node:fs');
const { createRequire, wrap } = require('node:module');
const path = require('node:path');
const { Script } = require('node:vm');

const bundle = path.resolve(process.argv.splice(2, 1)[0]);
const script = new Script(wrap(readFileSync(bundle, 'utf8')), { filename: bundle });
process.once('exit', () => {
  writeFileSync(bundle.replace(/[.]cjs$/, '.cache'), script.createCachedData());
});
const module_ = { exports: {} };
const load = createRequire(bundle);
script.runInThisContext()(module_.exports, load, module_, bundle, path.dirname(bundle));
