/** ACLs as GNU tar writes them: the names of the machine that made the archive, which are the tree's own to understand. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { importTemplate } from '../../src/manager/templates/import.ts';
import { aclFromText } from '../../src/manager/templates/tar/acl.ts';
import { native } from '../../src/native/binding.ts';
import { scratchDir, scratchFile } from '../support/machine/scratch-dir.ts';
import { contents, objectFiles, scratchStore } from '../support/trees/scratch-store.ts';
import { archive, dir, file, member } from '../support/trees/tar-members.ts';

const ACCESS = 'system.posix_acl_access';
const DEFAULT = 'system.posix_acl_default';
const NAMED = 'user::rwx\ngroup::r-x\nuser:keeper:rwx\ngroup:adm:r-x\nmask::rwx\nother::---\n';
const ACCOUNTS = [
  file('etc/passwd', 'root:x:0:0::/:\nkeeper:x:1234:5::/:\nkeeper:x:9:9::/:\n'),
  file('etc/group', 'root:x:0:\nadm:x:77:keeper\n'),
];

const acl = (text: string): string =>
  aclFromText(text, () => expect.fail('no number was given')).toString('hex');

const withAcl = (name: string, text: string, key = 'SCHILY.acl.access'): Buffer =>
  dir(name, { pax: [[key, Buffer.from(text)]] });

async function imported(...members: Buffer[]) {
  const store = await scratchStore();
  await importTemplate(store, 'os', scratchFile('a.tar', archive(...members)));
  return contents(store, 'os');
}

it('names are those of the passwd and group in the archive, wherever they stand in it', async () => {
  const numbers = acl('user::rwx,user:1234:rwx,group::r-x,group:77:r-x,mask::rwx,other::---');
  const log = withAcl('var/log/', NAMED);
  const inherited = withAcl('srv/', NAMED, 'SCHILY.acl.default');
  for (const members of [
    [log, inherited, ...ACCOUNTS],
    [...ACCOUNTS, log, inherited],
  ]) {
    const all = await imported(...members);
    expect(all.get('var/log')?.xattrs).toEqual({ [ACCESS]: numbers });
    expect(all.get('srv')?.xattrs).toEqual({ [DEFAULT]: numbers });
  }
});

it('where the archive has the attribute, too, its numbers count', async () => {
  const raw = aclFromText('user::rwx,group::r-x,group:4:r-x,mask::r-x,other::---', () => 0);
  const both = member({
    path: 'log/',
    type: '5',
    pax: [
      ['SCHILY.acl.access', Buffer.from(NAMED)],
      [`SCHILY.xattr.${ACCESS}`, raw],
    ],
  });
  expect((await imported(both)).get('log')?.xattrs).toEqual({ [ACCESS]: raw.toString('hex') });
});

it('an account that the archive has not is named, with the path; and nothing is stored', async () => {
  const store = await scratchStore();
  const tar = scratchFile(
    'a.tar',
    archive(...ACCOUNTS, withAcl('log/', 'group:sys:rwx,mask::rwx')),
  );
  await expect(importTemplate(store, 'os', tar)).rejects.toMatchObject({
    code: 'badInput',
    message: expect.stringContaining(
      'ACL of log/ for the group sys, who is not in its /etc/group',
    ) as string,
    hint: expect.stringContaining('without --acls') as string,
  });
  expect(store.templates()).toEqual([]);
  expect(objectFiles(store)).toEqual([]);
  for (const text of ['user::rw', 'mask:adm:rwx', 'constructor::rwx', 'group:4294967295:rwx']) {
    const bad = scratchFile('b.tar', archive(...ACCOUNTS, withAcl('log/', text)));
    await expect(importTemplate(store, 'os', bad)).rejects.toThrow("an ACL that can't be read");
  }
});

it('an archive by GNU tar with --acls', async () => {
  const tree = path.join(scratchDir(), 'tree');
  mkdirSync(path.join(tree, 'etc'), { recursive: true });
  mkdirSync(path.join(tree, 'log'));
  writeFileSync(path.join(tree, 'etc/group'), 'root:x:7:\n');
  // Group 0, which is "root" on the machine; the tree has another number for it.
  const value = aclFromText('user::rwx,group::r-x,group:0:r-x,mask::r-x,other::---', () => 0);
  expect(native.setXattr(path.join(tree, 'log'), ACCESS, value, value.length)).toBe(0);
  const tar = path.join(scratchDir(), 'a.tar');
  execFileSync('tar', ['-C', tree, '--acls', '-cf', tar, '.']);
  const store = await scratchStore();
  await importTemplate(store, 'os', tar);
  const expected = acl('user::rwx,group::r-x,group:7:r-x,mask::r-x,other::---');
  expect(contents(store, 'os').get('log')?.xattrs).toEqual({ [ACCESS]: expected });
});
