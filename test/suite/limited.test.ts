import { describe } from 'vitest';
import { declareByref } from './byref.ts';

// How a limit counts does not depend on the directory.

describe('an env with a limit of disk that it does not reach', () =>
  declareByref([], ['limits.disk=1TiB', 'limits.disk.inodes=1000000'], ['coherent']));
