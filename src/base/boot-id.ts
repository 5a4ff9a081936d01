import { readFileSync } from 'node:fs';

const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';

/**
 * Returns the id of the machine's present boot, as 32 hex digits. Bytes that a process wrote and did not fsync
 * survive a crash of the process, but maybe not a boot. In tests BYREF_BOOT_ID replaces the id.
 */
export function bootId(): string {
  const replaced = process.env.BYREF_BOOT_ID;
  if (replaced !== undefined) return plain(replaced);
  own ??= plain(readFileSync(BOOT_ID_FILE, 'latin1'));
  return own;
}

/** No process outlives its boot. */
let own: string | null = null;

const plain = (text: string): string => text.trim().replaceAll('-', '');
