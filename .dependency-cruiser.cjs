const { MAY_IMPORT } = require('./scripts/layout.cjs');

const pathOf = (name) =>
  name.endsWith('.ts') ? `^src/${name.replace('.', '[.]')}$` : `^src/${name}/`;

function onlyThese([folder, others]) {
  return {
    name: `${folder.replaceAll('/', '-')}-imports-only-what-is-listed`,
    severity: 'error',
    from: { path: `^src/${folder}/` },
    to: { path: '^src/', pathNot: [folder, ...others].map(pathOf) },
  };
}

/** @type {import("dependency-cruiser").IConfiguration} */
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
    ...Object.entries(MAY_IMPORT).map(onlyThese),
    {
      name: 'every-folder-has-a-list',
      comment: 'A folder that MAY_IMPORT does not name could import anything.',
      severity: 'error',
      from: { path: '^src/', pathNot: Object.keys(MAY_IMPORT).map((folder) => `^src/${folder}/`) },
      to: {},
    },
    {
      name: 'rows-are-the-stores',
      comment: 'Who needs a row asks the store for it (store/store.ts).',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot: [
          '^src/store/',
          '^src/manager/upkeep/',
          '^src/manager/templates/commit-tree[.]ts$',
        ],
      },
      to: { path: '^src/store/raw-tables[.]ts$' },
    },
    {
      name: 'merge-has-no-packages',
      severity: 'error',
      from: { path: '^src/manager/merge/' },
      to: { dependencyTypesNot: ['local', 'core', 'type-only'] },
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
