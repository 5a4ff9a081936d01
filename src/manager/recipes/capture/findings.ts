/**
 * Finds what a person should look at before it is in every env: rights that files grant, and things that look
 * left behind.
 */
import {
  isDir,
  isLnk,
  isReg,
  S_IFBLK,
  S_IFCHR,
  S_IFMT,
  S_ISGID,
  S_ISUID,
  S_ISVTX,
} from '../../../base/mode.ts';
import { rootOf, walkPath } from '../../../base/path-walk.ts';
import type { LowerTree } from '../../../driver/core/ports.ts';
import type { TreeNode } from '../../templates/tree.ts';
import { nodeAt } from '../../templates/tree.ts';
import { recordAt } from '../../templates/walk-version.ts';
import type { Captured } from './tree.ts';

/** The kinds of findings. */
export type FindingKind =
  | 'setuid'
  | 'setgid'
  | 'capabilities'
  | 'device'
  | 'world-writable'
  | 'unnamed-owner'
  | 'dangling-symlink'
  | 'unusual-place'
  | 'password'
  | 'login-key'
  | 'privileges'
  | 'scheduled'
  | 'service';

/** All paths with one kind of finding. */
export interface Finding {
  readonly what: FindingKind;
  /** Binary strings, sorted. */
  readonly paths: readonly string[];
}

/** Describes each kind, for people. */
export const FINDING_TEXT: Readonly<Record<FindingKind, string>> = {
  setuid: 'run as their owner, whoever starts them (setuid)',
  setgid: 'run as their group, whoever starts them (setgid)',
  capabilities: 'run with capabilities, whoever starts them',
  device: 'are devices',
  'world-writable': 'can be written by everybody',
  'unnamed-owner': 'are of a user or group without a name',
  'dangling-symlink': 'are symlinks that lead nowhere',
  'unusual-place': 'are outside of where software is installed',
  password: 'have passwords that were set, which will open every env',
  'login-key': 'let whoever has a key log in (authorized_keys)',
  privileges: 'give users the rights of others (sudo, doas, polkit)',
  scheduled: 'run by themselves, at their times (cron, timers)',
  service: 'run by themselves, when a system starts or something asks for them',
};

const USUAL = /^\/(?:bin|etc|lib|lib32|lib64|libx32|opt|sbin|srv|usr|var)(?:\/|$)/;
/** Paths that are mounted or created when an env starts. */
const MADE_LATER = /^\/(?:dev|proc|run|sys|tmp|var\/run|var\/tmp)(?:\/|$)/;
const OTHERS_WRITE = 0o002;

/** The ids that have a name in the tree. */
export interface NamedIds {
  readonly uids: ReadonlySet<number>;
  readonly gids: ReadonlySet<number>;
}

interface Place {
  readonly tree: TreeNode;
  readonly below: LowerTree;
  readonly ids: NamedIds;
  /** True if /etc/shadow has passwords that the base's does not have. */
  readonly opened: boolean;
}

type Test = (captured: Captured, place: Place) => boolean;

/** Tests for files and links at such paths, without looking at their content. */
function isAt(place: RegExp): Test {
  return ({ path, node }) => !isDir(node.mode) && place.test(path);
}

const TESTS: Readonly<Record<FindingKind, Test>> = {
  setuid: ({ node }) => isReg(node.mode) && (node.mode & S_ISUID) !== 0,
  setgid: ({ node }) => isReg(node.mode) && (node.mode & S_ISGID) !== 0,
  capabilities: ({ node }) => node.xattrs?.has('security.capability') === true,
  device: ({ node }) => [S_IFCHR, S_IFBLK].includes(node.mode & S_IFMT),
  'world-writable': ({ node: { mode } }) =>
    !isLnk(mode) && (mode & OTHERS_WRITE) !== 0 && !(isDir(mode) && (mode & S_ISVTX) !== 0),
  'unnamed-owner': ({ node }, { ids }) => !ids.uids.has(node.uid) || !ids.gids.has(node.gid),
  'dangling-symlink': ({ node, path }, place) => isLnk(node.mode) && !leads(node, path, place),
  'unusual-place': ({ path }) => !USUAL.test(path),
  password: ({ path }, { opened }) => opened && path === '/etc/shadow',
  'login-key': isAt(/\/(?:\.ssh\/authorized_keys2?|etc\/ssh\/authorized_keys(?:\/.*|\.d\/.*)?)$/),
  privileges: isAt(
    /^\/etc\/(?:sudoers|doas\.conf|sudoers\.d\/.*)$|\/polkit-1\/(?:rules|localauthority).*\/./,
  ),
  scheduled: isAt(
    /^\/(?:etc\/(?:ana)?crontab|etc\/cron[.][^/]+\/.*|var\/spool\/cron\/.*)$|\/systemd\/.*[.]timer$/,
  ),
  service: isAt(
    /^\/etc\/(?:rc\.local|init\.d\/.*|xinetd\.d\/.*|inetd\.conf)$|\/systemd\/(?:system|user)\/.*[.](?:service|socket|path)$|\/dbus-1\/system-services\/./,
  ),
};

/** Returns the findings in what was captured. */
export function findingsIn(captured: readonly Captured[], place: Place): Finding[] {
  return Object.entries(TESTS).flatMap(([what, test]) => {
    const paths = captured.filter((each) => test(each, place)).map(({ path }) => path);
    return paths.length === 0 ? [] : [{ what: what as FindingKind, paths }];
  });
}

/** Returns true if a symlink leads to something that the env will have. @param path where it is */
function leads({ target }: TreeNode, path: string, { tree, below }: Place): boolean {
  const from = target.startsWith('/') ? '' : path.slice(0, path.lastIndexOf('/'));
  const { at, stoppedAt } = walkPath(rootOf(''), `${from}/${target}`, {
    step(dir, name) {
      const here = `${dir}/${name}`;
      const found = MADE_LATER.test(here) ? null : (nodeAt(tree, here) ?? recordAt(below, here));
      if (found === null) return null;
      return isLnk(found.mode) ? { target: found.target } : { dir: here };
    },
  });
  return stoppedAt === null || MADE_LATER.test(`${at.dir}/${stoppedAt}`);
}
