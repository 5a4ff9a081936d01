import { readFileSync } from 'node:fs';

const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';

/**
 * Returns the id of the machine's present boot, as 32 hex digits. Bytes that a process wrote and did not fsync
 * survive a crash of the process, but maybe not a boot. In tests BYREF_BOOT_ID replaces the id.
 */
export function bootId(): string {
  const text = process.env.BYREF_BOOT_ID ?? readFileSync(BOOT_ID_FILE, 'latin1');
  return text.trim().replaceAll('-', '');
}
