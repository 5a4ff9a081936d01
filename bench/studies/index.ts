import type { Study } from './study.ts';

export const STUDIES: readonly Study[] = [];
