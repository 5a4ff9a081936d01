/**
 * Gives users and groups that an installation added the numbers that they have in every app
 * (src/store/accounts.ts).
 */
import { ByrefError } from '../../../base/error.ts';
import { readInRoot, writeInRoot } from '../../../base/in-root.ts';
import type { AccountKind } from '../../../store/accounts.ts';
import type { Store } from '../../../store/store.ts';
import {
  type AccountFiles,
  type Accounts,
  accountsOf,
  addedAccounts,
  idClass,
  renumber,
  withConstantDays,
} from '../../merge/accounts.ts';
import { REGISTRY_BYTES_MAX, registryContent } from '../../merge/limits.ts';
import type { ScratchEnv } from '../../sandbox/scratch-env.ts';
import type { StoreAccess } from '../../sandbox/store-access.ts';
import { contentAt } from '../../templates/file-content.ts';
import type { TreeNode } from '../../templates/tree.ts';

/** The new number of each that changed, by the old one. */
export interface Renumbered {
  readonly uids: ReadonlyMap<number, number>;
  readonly gids: ReadonlyMap<number, number>;
}

const FILES = { passwd: '/etc/passwd', group: '/etc/group', shadow: '/etc/shadow' } as const;
type Files = Record<keyof typeof FILES, string>;

/** The new state of the account files. */
export interface AssignedIds extends Renumbered {
  /** The new contents of the account files that have to change, by path; binary strings. */
  readonly files: ReadonlyMap<string, string>;
  /** Accounts that the env's templates do not have, with their new numbers. */
  readonly added: Accounts;
}

/**
 * Rewrites the account files in the env. The files that the accounts own are renumbered later, in the tree that
 * is made of the env.
 */
export async function assignAccountIds(env: ScratchEnv, access: StoreAccess): Promise<Renumbered> {
  const { files, ...renumbered } = await assignedAccountIds(env, access);
  for (const [file, content] of files) {
    writeInRoot(env.mountpoint, file, content);
  }
  return renumbered;
}

/**
 * Determines the same changes, but leaves the env as it is.
 * @param shadowOf returns the wanted content of the env's /etc/shadow, apart from numbers; it is given that
 *   file, and the templates'
 */
export async function assignedAccountIds(
  env: ScratchEnv,
  access: StoreAccess,
  shadowOf: (now: string, base: string) => string = (now) => now,
): Promise<AssignedIds> {
  const base = await access.read((store) => read((file) => inTemplates(store, env, file)));
  const now = read((file) => inEnv(env.mountpoint, file));
  const renumbered = await access.write((store) => numbers(store, base, now));
  const next = renumber(
    { ...now, shadow: withConstantDays(shadowOf(now.shadow, base.shadow), base.shadow) },
    renumbered.uids,
    renumbered.gids,
  );
  const files = new Map<string, string>();
  for (const [name, file] of Object.entries(FILES)) {
    const content = next[name as keyof Files];
    if (content !== now[name as keyof Files]) files.set(file, content);
  }
  return { ...renumbered, files, added: addedAccounts(base, next) };
}

const read = (of: (file: string) => string): Files => ({
  passwd: of(FILES.passwd),
  group: of(FILES.group),
  shadow: of(FILES.shadow),
});

function inTemplates(store: Store, { stack }: ScratchEnv, file: string): string {
  return contentAt(store, store.lowerTree(stack), file) ?? '';
}

/** Returns an account file's content. @throws ByrefError 'badInput' for a device, a symlink, or an endless file */
function inEnv(root: string, file: string): string {
  const whole = readInRoot(root, file, REGISTRY_BYTES_MAX);
  if (whole === undefined) return '';
  const read = registryContent(whole);
  if ('content' in read) return read.content;
  throw new ByrefError('badInput', `${file} of the env ${read.why}`, 'Put the accounts there.');
}

function numbers(store: Store, base: AccountFiles, now: AccountFiles): Renumbered {
  const { users, groups } = addedAccounts(base, now);
  const had = accountsOf(base.passwd, base.group);
  const there = {
    user: new Set(had.users.map(({ uid }) => uid)),
    group: new Set(had.groups.map(({ gid }) => gid)),
  };
  const number = (kind: AccountKind, name: string, id: number): [number, number] => {
    const of = idClass(id);
    return [id, of === 'fixed' ? id : store.accountNumber(kind, name, of, there[kind])];
  };
  return store.transaction(() => ({
    uids: new Map(users.map(({ name, uid }) => number('user', name, uid))),
    gids: new Map(groups.map(({ name, gid }) => number('group', name, gid))),
  }));
}

/**
 * Renumbers owners, groups and ACLs in a tree. @param seen nodes done so far: files with several names are met
 * several times
 */
export function renumberTree(node: TreeNode, ids: Renumbered, seen = new Set<TreeNode>()): void {
  if (seen.has(node)) return;
  seen.add(node);
  node.uid = ids.uids.get(node.uid) ?? node.uid;
  node.gid = ids.gids.get(node.gid) ?? node.gid;
  for (const name of ACLS) {
    const acl = node.xattrs?.get(name);
    if (acl !== undefined) node.xattrs!.set(name, renumberAcl(acl, ids));
  }
  for (const child of node.children?.values() ?? []) renumberTree(child, ids, seen);
}

const ACLS = ['system.posix_acl_access', 'system.posix_acl_default'];
/** Offsets in struct posix_acl_xattr_header and _entry (linux/posix_acl_xattr.h). */
const ACL_HEADER = 4;
const ACL_ENTRY = 8;
const ACL_ID_AT = 4;
const ACL_USER = 2;
const ACL_GROUP = 8;

function renumberAcl(acl: Buffer, { uids, gids }: Renumbered): Buffer {
  const out = Buffer.from(acl);
  for (let at = ACL_HEADER; at + ACL_ENTRY <= out.length; at += ACL_ENTRY) {
    const tag = out.readUInt16LE(at);
    const ids = tag === ACL_USER ? uids : tag === ACL_GROUP ? gids : null;
    const id = out.readUInt32LE(at + ACL_ID_AT);
    out.writeUInt32LE(ids?.get(id) ?? id, at + ACL_ID_AT);
  }
  return out;
}
