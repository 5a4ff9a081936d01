/**
 * Resolves ACLs that an archive has as text. GNU tar writes names of accounts there, so they can become numbers
 * only when the whole tree is known: from its own /etc/passwd and /etc/group, never from the machine's.
 */

import { ByrefError } from '../../base/error.ts';
import { type Name, nameToText } from '../../base/ids.ts';
import type { AccountKind } from '../../store/accounts.ts';
import { aclFromText } from './tar/acl.ts';
import { nodeAt, type TreeNode } from './tree.ts';

const FILES: Readonly<Record<AccountKind, string>> = { user: '/etc/passwd', group: '/etc/group' };
const ACCOUNT_FILE = /(?:^|\/)(?:passwd|group)$/;
const ID_FIELD = 2;

/** Returns every name to which such a file gives a number. @param content a binary string */
function idsOf(content: string): Map<string, number> {
  const ids = new Map<string, number>();
  for (const line of content.split('\n')) {
    const fields = line.split(':');
    const id = fields[ID_FIELD] ?? '';
    // Of two entries with one name the first counts, as in the C library.
    if (/^\d+$/.test(id) && !ids.has(fields[0]!)) ids.set(fields[0]!, Number(id));
  }
  return ids;
}

interface Waiting {
  readonly path: string;
  readonly acls: ReadonlyMap<string, string>;
}

/** ACLs of an archive that wait to be resolved. */
export class TarAcls {
  private readonly waiting = new Map<TreeNode, Waiting>();
  private readonly contents = new Map<TreeNode, string>();

  /**
   * Notes a member's ACLs; of several members on one node, as layers have them, the last one counts.
   * @param path as in the archive
   */
  add(path: string, node: TreeNode, acls: ReadonlyMap<string, string> | null): void {
    if (acls === null) this.waiting.delete(node);
    else this.waiting.set(node, { path, acls });
  }

  /** Notes a file's content, if it may be an account file. */
  addContent(path: string, node: TreeNode, content: Buffer): void {
    if (ACCOUNT_FILE.test(path)) this.contents.set(node, content.toString('latin1'));
  }

  /**
   * Gives the nodes their ACLs. @throws ByrefError 'badInput' for text that is not an ACL, or that names an
   * account which the tree lacks
   */
  applyTo(tree: TreeNode): void {
    const ids = new Map<AccountKind, Map<string, number>>();
    const idOf = (kind: AccountKind, name: string, path: string): number => {
      const known = ids.get(kind) ?? idsOf(this.contentAt(tree, FILES[kind]));
      ids.set(kind, known);
      const id = known.get(name);
      if (id !== undefined) return id;
      throw unknownAccount(kind, name, path);
    };
    for (const [node, { path, acls }] of this.waiting) {
      for (const [attribute, text] of acls) {
        node.xattrs ??= new Map();
        node.xattrs.set(
          attribute,
          aclFromText(text, (kind, name) => idOf(kind, name, path)),
        );
      }
    }
  }

  private contentAt(tree: TreeNode, path: string): string {
    const node = nodeAt(tree, path);
    return (node && this.contents.get(node)) ?? '';
  }
}

function unknownAccount(kind: AccountKind, name: string, path: string): ByrefError {
  const [who, where] = [name, path].map((each) => nameToText(each as Name));
  const message = `the archive has an ACL of ${where} for the ${kind} ${who}, who is not in its ${FILES[kind]}`;
  const hint =
    'Make the archive with tar --xattrs --xattrs-include=* and without --acls: then it has numbers.';
  return new ByrefError('badInput', message, hint);
}
