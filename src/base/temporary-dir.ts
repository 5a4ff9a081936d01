/** The directory for temporary trees and archives, which may be too large for a /tmp in memory. */
export const TEMPORARY_DIR = process.env['BYREF_TMPDIR'] ?? '/var/tmp';
