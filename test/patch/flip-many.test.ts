import { describe, test } from 'vitest';
import { LONG, patchUnderReaders } from './patch-under-readers.ts';

describe('readers see the old version or the new one, and no error, through patches and rollbacks', () => {
  test('100 envs', () => patchUnderReaders({ envs: 100, rounds: 6, readers: 4, mount: [] }), LONG);

  test(
    '1,000 envs',
    () => patchUnderReaders({ envs: 1000, rounds: 2, readers: 4, mount: [] }),
    LONG,
  );
});
