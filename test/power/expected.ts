/** The files of the power cuts: what the template has, and what is written. */
export const BLOCK = 4096;
export const SYNCED = Buffer.alloc(BLOCK, 'synced ');

/** Where data is coherent, and where it is shared: some at once, some by a long copy. */
export const TEMPLATE_FILES = ['etc/small', 'etc/large', 'usr/small', 'usr/large'];
export const SIZES: Record<string, number> = { small: 3 * BLOCK, large: 600 * 1024 };

export const NEW_FILES = [
  'etc/new',
  'etc/made/by/nobody/else/new',
  `usr/${'a long name '.repeat(15)}`,
];

/** A template file's bytes. */
export const original = (name: string): Buffer =>
  Buffer.alloc(SIZES[name.replace(/.*\//, '')] ?? 0, `${name} of the template `);

/** The same, with SYNCED in its second block. */
export function changed(name: string): Buffer {
  const bytes = original(name);
  SYNCED.copy(bytes, BLOCK);
  return bytes;
}
