import { describe } from 'vitest';
import { declareByref } from './byref.ts';

// Without passthrough no directory is served otherwise than /home is with it.

describe('an env without passthrough', () => declareByref(['--no-passthrough'], [], ['shared']));
