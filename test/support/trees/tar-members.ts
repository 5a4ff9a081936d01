/** Small archives made of members, by the writer that exports are made with. */
import {
  END_MARK,
  memberHeader,
  type NewMember,
  padding,
} from '../../../src/manager/templates/tar/writer.ts';

type Member = Partial<NewMember> & { readonly path: string; readonly content?: Buffer | string };

const PLAIN: Omit<NewMember, 'path'> = {
  type: '0',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 1_700_000_000,
  mtimeNs: 0,
  linkPath: '',
  major: 0,
  minor: 0,
  pax: [],
};

/** One member with its content and padding, without an end mark. */
export function member({ content = '', ...fields }: Member): Buffer {
  const bytes = Buffer.from(content as string);
  const header = memberHeader({ ...PLAIN, size: bytes.length, ...fields });
  return Buffer.concat([header, bytes, padding(bytes.length)]);
}

export const file = (
  path: string,
  content: Buffer | string,
  more: Partial<NewMember> = {},
): Buffer => member({ path, content, ...more });
export const dir = (path: string, more: Partial<NewMember> = {}): Buffer =>
  member({ path, type: '5', mode: 0o755, ...more });
export const symlink = (path: string, linkPath: string): Buffer =>
  member({ path, type: '2', mode: 0o777, linkPath });
export const hardLink = (path: string, linkPath: string): Buffer =>
  member({ path, type: '1', linkPath });

export const archive = (...members: readonly Buffer[]): Buffer =>
  Buffer.concat([...members, END_MARK]);

const BLOCK = 512;
/** Where a header has the size of the content, and the sum of its own bytes. */
const [SIZE_AT, SUM_AT, SUM_END] = [124, 148, 156];
const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0');

/** Returns an archive in which one file has another content. @throws if it has no such member */
export function withContent(tar: Buffer, name: string, change: (text: string) => string): Buffer {
  let at = tar.indexOf(`${name}\0`);
  while (at >= 0 && at % BLOCK !== 0) at = tar.indexOf(`${name}\0`, at + 1);
  if (at < 0) throw new Error(`no ${name} in the archive`);
  const header = Buffer.from(tar.subarray(at, at + BLOCK));
  const size = Number.parseInt(header.toString('latin1', SIZE_AT), 8);
  const content = Buffer.from(change(tar.toString('utf8', at + BLOCK, at + BLOCK + size)));
  header.write(octal(content.length, 11), SIZE_AT);
  header.fill(' ', SUM_AT, SUM_END);
  const sum = header.reduce((all, byte) => all + byte, 0);
  header.write(`${octal(sum, 6)}\0 `, SUM_AT);
  const next = at + BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  const changed = [header, content, padding(content.length)];
  return Buffer.concat([tar.subarray(0, at), ...changed, tar.subarray(next)]);
}
