import { describe } from 'vitest';
import { declareByref } from './byref.ts';

describe('an env without passthrough', () => declareByref(['--no-passthrough']));
