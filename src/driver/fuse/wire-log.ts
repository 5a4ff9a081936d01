import { openSync, writeSync } from 'node:fs';
import { u32, u64 } from './buffers.ts';
import { NO_REPLY } from './connection.ts';
import { opcodeName } from './dispatch.ts';
import { IN, UNIQUE_RESENT } from './wire.ts';

/** Logs one request and what its handler returned. */
export type WireLog = (result: number) => void;

/**
 * Opens the log of requests, one line each, for debugging: BYREF_WIRE_LOG names a file, or is "-" for standard
 * error. Returns null, at no cost, if it is not set.
 */
export function openWireLog(): WireLog | null {
  const target = process.env['BYREF_WIRE_LOG'];
  if (target === undefined || target === '') return null;
  const fd = target === '-' ? 2 : openSync(target, 'a', 0o600);
  return (result) => {
    writeSync(fd, `${describe(result)}\n`);
  };
}

function describe(result: number): string {
  const resent = u32(IN.unique + 1) >= UNIQUE_RESENT ? ' resent' : '';
  const caller = `uid ${String(u32(IN.uid))} pid ${String(u32(IN.pid))}`;
  const head = `#${String(u32(IN.unique))}${resent} ${opcodeName(u32(IN.opcode))}`;
  const node = `node ${String(u64(IN.nodeid))}`;
  return `${head} ${node} ${caller} in ${String(u32(IN.len))} ${outcome(result)}`;
}

function outcome(result: number): string {
  if (result === NO_REPLY) return '-> none or later';
  return result < 0 ? `-> errno ${String(-result)}` : `-> ${String(result)} bytes`;
}
