/** Returns the directory below which each root has its run directory. Nothing in it survives a reboot, or has to. */
export const runPlace = (): string => process.env['BYREF_RUN'] ?? '/run/byref';
