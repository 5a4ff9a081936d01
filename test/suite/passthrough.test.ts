import { describe } from 'vitest';
import { declareByref } from './byref.ts';

describe('an env with passthrough', () => declareByref());
