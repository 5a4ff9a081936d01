import type { Operation } from '../services/operation.ts';
import type { Column } from './table.ts';

/** The columns of `byref operation list`. */
export const OPERATION_COLUMNS: readonly Column<Operation>[] = [
  { field: 'id', standard: true, right: true, text: ({ id }) => String(id) },
  { field: 'state', standard: true, text: ({ state }) => state },
  { field: 'started', standard: true, text: ({ started }) => started },
  { field: 'ended', standard: true, text: ({ ended }) => ended ?? '' },
  { field: 'pid', standard: false, right: true, text: ({ pid }) => String(pid ?? '') },
  { field: 'exit', standard: false, right: true, text: ({ exitCode }) => String(exitCode ?? '') },
  { field: 'command', standard: true, text: ({ words }) => words.join(' ') },
];
