import { describe, test } from 'vitest';
import { changesType, hasPages } from '../support/trees/flip-trees.ts';
import { LONG, patchUnderReaders } from './patch-under-readers.ts';

describe('readers see the old version or the new one, and no error, through patches and rollbacks', () => {
  test('one env', () => patchUnderReaders({ envs: 1, rounds: 10, readers: 3, mount: [] }), LONG);

  test(
    'one env, without passthrough',
    () => patchUnderReaders({ envs: 1, rounds: 10, readers: 3, mount: ['--no-passthrough'] }),
    LONG,
  );

  test(
    'one env, with cold caches',
    () => patchUnderReaders({ envs: 1, rounds: 10, readers: 3, mount: [], cold: true }),
    LONG,
  );

  test(
    'one env, over libfuse 2',
    () =>
      patchUnderReaders({
        envs: 1,
        rounds: 5,
        readers: 2,
        mount: ['--transport', 'fuse-native'],
        // Limits of this transport: type-changes, old-pages.
        only: (probe) => !changesType(probe) && !hasPages(probe),
      }),
    LONG,
  );
});
