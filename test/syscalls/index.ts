/** System calls for tests, typed: thin layers over a generic add-on (addon.c). */
export * from './acls.ts';
export * from './constants.ts';
export * from './credentials.ts';
export * from './files.ts';
export * from './handles.ts';
export * from './locks.ts';
export * from './mapping.ts';
export * from './raw.ts';
export * from './watch.ts';
export * from './xattrs.ts';
