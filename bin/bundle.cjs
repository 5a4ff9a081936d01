'use strict';
const { readFileSync, realpathSync } = require('node:fs');
const { createRequire, wrap } = require('node:module');
const path = require('node:path');
const { Script } = require('node:vm');

const tree = path.dirname(path.dirname(realpathSync(__filename)));

/** The file's bytes, or undefined. */
function read(file) {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}

/**
 * Runs a bundle as require() does, but with the machine code that scripts/compile-cache.cjs kept, which saves a
 * third of our own start. V8 refuses it silently if it is of another version, and compiles.
 * @param {string} name its path in dist/
 */
exports.run = function run(name) {
  const bundle = path.join(tree, 'dist', name);
  const source = read(bundle);
  if (!source) {
    console.error(`byref: not built yet\n  run: bash ${path.join(tree, 'scripts/setup.sh')}`);
    process.exitCode = 8; // "unsupported" of src/base/exit-codes.ts
    return;
  }
  const cachedData = read(bundle.replace(/[.]cjs$/, '.cache'));
  const script = new Script(wrap(source.toString()), { filename: bundle, cachedData });
  // A script of this kind can't import: importProgram() of src/base/program-files.ts.
  globalThis.byrefImport = (url) => import(url);
  const module = { exports: {} };
  const load = createRequire(bundle);
  script.runInThisContext()(module.exports, load, module, bundle, path.dirname(bundle));
};
