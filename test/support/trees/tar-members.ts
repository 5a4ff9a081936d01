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
