/**
 * The version of what a driver leaves for the one after it (src/driver/process/resume). A driver goes on with mounts of the
 * same version only.
 */
export const RECORDS_VERSION = 1;
