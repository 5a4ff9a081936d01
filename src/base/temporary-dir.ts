/** Where trees and archives are made that are too large for a /tmp in memory. */
export const TEMPORARY_DIR = process.env['BYREF_TMPDIR'] ?? '/var/tmp';
