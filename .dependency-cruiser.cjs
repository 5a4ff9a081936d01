/**
 * Which part may import which (docs/ARCHITECTURE.md). Each rule says what a breach would cost.
 * @type {import('dependency-cruiser').IConfiguration}
 */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Two files that need each other are one file, or lack a third.',
      severity: 'error',
      from: {},
      // A cycle of `import type` is none at run time.
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'data-plane-is-alone',
      comment: 'Envs are served while the control plane is down, upgraded or damaged.',
      severity: 'error',
      from: { path: '^src/(fs|fuse|fuse-native|delta|driver)/' },
      to: { path: '^src/(template|env|cli|api|patch|gc|fsck)/' },
    },
    {
      name: 'base-is-a-leaf',
      severity: 'error',
      from: { path: '^src/base/' },
      to: { path: '^src/', pathNot: '^src/base/' },
    },
    {
      name: 'native-is-a-leaf',
      comment: 'The add-on only does what Node cannot; whatever decides something is above it.',
      severity: 'error',
      from: { path: '^src/native/' },
      // src/native/file-calls.ts is the add-on as the port of src/fs/ports.ts that it was made for.
      to: { path: '^src/', pathNot: ['^src/(native|base)/', '^src/fs/ports[.]ts$'] },
    },
    {
      name: 'codec-is-pure',
      severity: 'error',
      from: { path: '^src/codec/' },
      to: { path: '^src/', pathNot: '^src/(codec|base)/' },
    },
    {
      name: 'registry-is-pure',
      comment: 'Merging is of contents: who reads and writes the files is who asked.',
      severity: 'error',
      from: { path: '^src/registry/' },
      to: { path: '^src/', pathNot: '^src/(registry|base)/' },
    },
    {
      name: 'registry-has-no-packages',
      severity: 'error',
      from: { path: '^src/registry/' },
      to: { dependencyTypesNot: ['local', 'core', 'type-only'] },
    },
    {
      name: 'fs-knows-its-ports-only',
      comment: 'The core sees neither wire bytes nor LMDB: any transport and any store fit.',
      severity: 'error',
      from: { path: '^src/fs/' },
      to: { path: '^src/', pathNot: '^src/(fs|codec|base)/' },
    },
    {
      name: 'transports-see-the-interface-only',
      severity: 'error',
      from: { path: '^src/(fuse|fuse-native)/' },
      to: {
        path: '^src/',
        pathNot: ['^src/(base|native|observe)/', '^src/fs/(api|ports)[.]ts$', '^src/$1/'],
      },
    },
    {
      name: 'store-is-below',
      severity: 'error',
      from: { path: '^src/(store|delta)/' },
      to: { path: '^src/', pathNot: '^src/(store|delta|codec|base|native|observe|fs)/' },
    },
    {
      name: 'no-tests-in-the-product',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench)/' },
    },
    {
      name: 'declared-packages-only',
      severity: 'error',
      from: { path: '^src/' },
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'],
        dependencyTypesNot: ['type-only', 'type-import'],
      },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '^fuse-native$' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '/build/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.cjs', '.mjs', '.json', '.node', '.d.ts'],
    },
  },
};
