import { userInfo } from 'node:os';
import type { PatchAuthor } from '../../codec/patch-record.ts';

/** Tells who gave this command, for the history: the user behind sudo, if there is one. */
export function author(): PatchAuthor {
  const { uid, username } = userInfo();
  const user = process.env['SUDO_USER'] ?? username;
  const command = ['byref', ...process.argv.slice(2)].join(' ');
  return { user, uid: Number(process.env['SUDO_UID'] ?? uid), pid: process.pid, command };
}
