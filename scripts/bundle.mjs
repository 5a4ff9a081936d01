/**
 * Bundles every entry point of src/ into dist/, one file each.
 *
 * What somebody waits for is a CommonJS file, with its compiled code beside it: the command line, and the driver,
 * for which programs wait when it replaces one that was killed. Measured against a bare `node -e 0`, a verb that opens
 * the store starts in 1.3 times, as an ES module in 1.4, unbundled in 1.7. Modules behind `import()` are in
 * the file, but run only when they are asked for, so a heavy verb costs the light ones nothing.
 * Other programs that stay are ES modules, which may await at their top level.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';

const ROOT = path.resolve(import.meta.dirname, '..');
const OUT = path.join(ROOT, 'dist');

/** Programs that stay, and the workers of any. A bundle's place in dist/ is its source's in src/. */
const RESIDENT = ['api/daemon', 'cli/runner', ...workers()];

/** Programs that are to start fast. */
const FAST = ['cli/main', 'driver/process/main'];

function workers() {
  return readdirSync(path.join(ROOT, 'src'), { recursive: true })
    .filter((file) => file.endsWith('-worker.ts'))
    .map((file) => file.replace(/[.]ts$/, ''));
}

/**
 * lmdb looks for its add-on by probing a dozen places. The bundle knows: the package that npm
 * installed for this platform, the build for this Node's ABI before the one for any.
 */
const lmdbAddon = {
  name: 'lmdb-addon',
  setup(bundle) {
    const filter = /^node-gyp-build-optional-packages$/;
    bundle.onResolve({ filter }, () => ({ path: 'lmdb-addon', namespace: 'byref' }));
    bundle.onLoad({ filter: /.*/, namespace: 'byref' }, () => ({
      loader: 'js',
      resolveDir: ROOT,
      contents: `
        const { existsSync } = require('node:fs');
        const { dirname, join } = require('node:path');
        module.exports = () => {
          const name = '@lmdb/lmdb-' + process.platform + '-' + process.arch;
          const directory = dirname(require.resolve(name + '/package.json'));
          const builds = ['abi' + process.versions.modules + '.glibc', 'napi.glibc', 'napi.musl']
            .map((build) => join(directory, 'node.' + build + '.node'));
          return require(builds.find((file) => existsSync(file)));
        };`,
    }));
  },
};

const COMMON = {
  absWorkingDir: ROOT,
  outdir: OUT,
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  sourcemap: 'linked',
  external: ['fuse-native', '*.node'],
  plugins: [lmdbAddon],
  logLevel: 'warning',
};

/** Entry points by their name in dist/. A source that is not there is named and left out. */
function sources(names) {
  const files = names.map((name) => [name, path.join('src', `${name}.ts`)]);
  return Object.fromEntries(
    files.filter(([, file]) => {
      const found = existsSync(path.join(ROOT, file));
      if (!found) console.error(`bundle: no ${file}: left out`);
      return found;
    }),
  );
}

await build({
  ...COMMON,
  entryPoints: sources(FAST),
  format: 'cjs',
  outExtension: { '.js': '.cjs' },
  // What a CommonJS file has for `import.meta`.
  define: {
    'import.meta.url': 'importMetaUrl',
    'import.meta.dirname': '__dirname',
    'import.meta.filename': '__filename',
  },
  banner: { js: "const importMetaUrl = require('node:url').pathToFileURL(__filename).href;" },
});
await build({
  ...COMMON,
  entryPoints: sources(RESIDENT),
  format: 'esm',
  // What packages that are CommonJS expect around them.
  banner: {
    js: [
      "import { createRequire as makeRequire } from 'node:module';",
      'const require = makeRequire(import.meta.url);',
      'const __filename = import.meta.filename;',
      'const __dirname = import.meta.dirname;',
    ].join('\n'),
  },
});
await keepCompiled();

/** Keeps the compiled code of what `byref list` runs, and of all of the driver, so that both start faster. */
async function keepCompiled() {
  const root = path.join(mkdtempSync(path.join(tmpdir(), 'byref-bundle-')), 'root');
  const run = promisify(execFile);
  const cache = path.join(ROOT, 'scripts/compile-cache.cjs');
  const [command, driver] = FAST.map((name) => path.join(OUT, `${name}.cjs`));
  try {
    // What is there is of the bundle before.
    rmSync(command.replace(/[.]cjs$/, '.cache'), { force: true });
    await run(path.join(ROOT, 'bin/byref.cjs'), ['init', '--root', root]);
    await run(process.execPath, [cache, command, 'list', '--root', root]);
    await run(process.execPath, [cache, '--all', driver]);
  } finally {
    rmSync(path.dirname(root), { recursive: true, force: true });
  }
}
