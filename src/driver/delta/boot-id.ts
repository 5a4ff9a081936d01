import { readFileSync } from 'node:fs';

const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';

/**
 * Which boot of the machine this is, as 32 hex digits. What a process wrote and did not fsync is still
 * there after a crash of the process, but maybe not after a boot. BYREF_BOOT_ID stands in for a boot
 * in tests.
 */
export function bootId(): string {
  const text = process.env.BYREF_BOOT_ID ?? readFileSync(BOOT_ID_FILE, 'latin1');
  return text.trim().replaceAll('-', '');
}
