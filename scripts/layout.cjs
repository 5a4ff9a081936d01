/**
 * Which folder of src/ may import which: docs/internals/ARCHITECTURE.md. A list names folders, or single files. Folders come after those that they
 * may import, so there is no circle; test/style/layout.test.ts holds it to that, and to what is there.
 */
const DATA_PORTS = ['driver/core/api.ts', 'driver/core/ports.ts'];
const TREES = ['driver/core/ports.ts', 'driver/core/tree-diff.ts', 'driver/core/lower-entries.ts'];
const DELTA = ['base', 'codec', 'native', 'driver/core', 'driver/delta', 'store'];

const MAY_IMPORT = {
  base: [],
  observe: ['base'],
  codec: ['base'],
  // The filesystem: it sees neither wire bytes nor LMDB, so that any transport and any store fit.
  'driver/core': ['base', 'codec'],
  // The add-on only does what Node can't; native/file-calls.ts is the add-on as a port of the filesystem.
  native: ['base', 'driver/core/ports.ts'],
  store: ['base', 'codec', 'native', 'observe', ...TREES],
  ipc: ['base', 'native', 'driver/core/set-aside.ts', 'driver/core/own-attributes.ts'],
  'driver/delta': ['base', 'codec', 'native', 'observe', 'driver/core'],
  'driver/fuse': ['base', 'native', 'observe', ...DATA_PORTS],
  'driver/fuse-native': ['base', 'native', 'observe', ...DATA_PORTS],
  // Envs are served while the manager is down, upgraded or damaged: nothing of driver/ imports any of manager/.
  'driver/process': [...DELTA, 'ipc', 'observe', 'driver/fuse', 'driver/fuse-native'],
  // Merging is of contents: who reads and writes the files is who asked.
  'manager/merge': ['base'],
  'manager/confinement': ['base', 'native'],
  'manager/packages': [...DELTA, 'manager/merge'],
  'manager/templates': ['base', 'codec', 'native', 'store', 'driver/core', 'manager/merge'],
  'manager/envs': [...DELTA, 'ipc', 'driver/fuse/mount.ts', 'manager/confinement'],
  'manager/backup': [...DELTA, ...below('envs')],
  'manager/moves': [...DELTA, ...below('envs', 'backup', 'templates')],
  'manager/sandbox': [...DELTA, 'ipc', ...below('confinement', 'envs', 'templates')],
  'manager/recipes/build': [...DELTA, ...below('confinement', 'merge', 'sandbox', 'templates')],
  'manager/recipes/compose': [
    ...DELTA,
    ...below('confinement', 'merge', 'sandbox', 'templates', 'recipes/build'),
  ],
  'manager/recipes/capture': [
    ...DELTA,
    ...below('confinement', 'merge', 'envs', 'sandbox', 'templates'),
    ...below('recipes/build', 'recipes/compose'),
  ],
  'manager/rollout': [
    ...DELTA,
    'ipc',
    ...below('confinement', 'merge', 'packages', 'envs', 'sandbox', 'templates'),
    ...below('recipes/build', 'recipes/compose'),
  ],
  'manager/upkeep/objects': ['base', 'native', 'store', 'driver/delta'],
  'manager/upkeep/gc': [...DELTA, 'ipc', ...below('envs', 'sandbox', 'rollout')],
  'manager/upkeep/fsck': [
    ...DELTA,
    'ipc',
    ...below('merge', 'packages', 'envs', 'sandbox', 'recipes/compose'),
    ...below('upkeep/objects', 'upkeep/gc'),
  ],
  'manager/upkeep/scrub': [
    ...DELTA,
    'ipc',
    ...below('envs', 'sandbox', 'upkeep/objects', 'upkeep/fsck'),
  ],
  'manager/upkeep/doctor': ['base', 'native', 'driver/fuse-native', 'ipc', ...below('envs')],
  services: [
    ...DELTA,
    'ipc',
    ...below('packages', 'envs', 'backup', 'moves', 'sandbox', 'templates', 'rollout'),
    ...below('recipes/build', 'recipes/capture', 'recipes/compose'),
    ...below('upkeep/gc', 'upkeep/fsck', 'upkeep/scrub', 'upkeep/doctor'),
  ],
  // The daemon: HTTP, and processes that execute commands. What it does to envs, it does by commands.
  api: [
    ...['base', 'codec', 'native', 'observe', 'store', 'ipc', 'services'],
    ...below('envs', 'recipes/build/fields.ts'),
  ],
  // Arguments and text: what it takes of the manager is pure, short, or a type; the rest is a use case of services/.
  cli: [
    'base',
    'codec',
    'store',
    'services',
    ...['ipc', 'observe', 'native'],
    // A client of the daemon; its parts are programs of their own.
    ...['api/client.ts', 'api/daemon.ts'],
    'driver/fuse-native/limits.ts',
    ...below('merge', 'envs', 'sandbox', 'recipes/build', 'recipes/capture'),
    ...below('rollout', 'upkeep/gc', 'upkeep/fsck', 'upkeep/scrub', 'upkeep/doctor'),
  ],
};

function below(...folders) {
  return folders.map((folder) => `manager/${folder}`);
}

module.exports = { MAY_IMPORT };
