/** One verb, as `byref help` shows it. A verb of a group has two words. */
export interface Verb {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly summary: string;
}

const verb = (name: string, summary: string, aliases: readonly string[] = []): Verb => ({
  name,
  aliases,
  summary,
});

/** All verbs of byref, in the order of `byref help`. */
export const VERBS: readonly Verb[] = [
  verb('init', 'make a root: the directory that holds everything'),
  verb('template build', 'build a version of a template from packages'),
  verb('template update', 'build it again, with the packages that there are now'),
  verb('template capture', 'record all that an installer, or an env, wrote as an app template'),
  verb('template import', 'add a version of a template from a directory, tar or OCI layout'),
  verb('template list', 'list templates', ['template ls']),
  verb('template show', 'show a template and its versions'),
  verb('template log', 'list the versions of a template and who sees them'),
  verb('template diff', 'show what changed between two versions'),
  verb('template which', 'say which template, version and package a path of an env is of'),
  verb('template packages', 'list the packages in a version of a template'),
  verb('template rm', 'remove a template that no env uses'),
  verb('template export', 'write a version as a tar'),
  verb('patch', 'take all envs that follow a template to another version'),
  verb('rollback', 'take them back'),
  verb('pin', 'keep an env at a version of a template'),
  verb('follow', 'let an env see the current version of a template'),
  verb('history', 'list patches, rollbacks and pins'),
  verb('saved list', 'list files of an env that patches set aside', ['saved ls']),
  verb('saved restore', 'put one of them back'),
  verb('saved rm', 'give them up'),
  verb('stale', 'list processes that use replaced files, or packages that envs have otherwise'),
  verb('relink', 'make an env’s copies of what its templates have links again'),
  verb('create', 'make an env from one OS template and any app templates'),
  verb('clone', 'make an env like another one', ['copy']),
  verb('snapshot', 'keep an env as it is now'),
  verb('snapshot list', 'list snapshots', ['snapshot ls']),
  verb('snapshot restore', 'take an env back to a snapshot'),
  verb('snapshot rm', 'remove snapshots'),
  verb('snapshot diff', 'show what an env changed since a snapshot'),
  verb('backup', 'write what an env is and has of its own into a file'),
  verb('backup verify', 'say whether a backup is whole, and what is in it'),
  verb('restore', 'make an env of a backup'),
  verb('move', 'move an env to another machine', ['migrate']),
  verb('receive', 'take an env that another machine moves here'),
  verb('rename', 'give an env another name'),
  verb('set', 'set what an env may use, and how it starts', ['config']),
  verb('profile list', 'list profiles, which set several things at once', ['profile ls']),
  verb('volume add', 'give an env a directory of the machine’s file system'),
  verb('volume list', 'list the volumes of an env', ['volume ls']),
  verb('volume rm', 'take a volume from an env'),
  verb('start', 'start envs'),
  verb('stop', 'stop envs'),
  verb('restart', 'stop envs, and start them again'),
  verb('kill', 'send a signal to the first process of envs'),
  verb('freeze', 'make running envs stand still', ['pause']),
  verb('thaw', 'let them go on', ['unpause']),
  verb('checkpoint', 'put what runs in an env to sleep, into files'),
  verb('run', 'make an env, and start it with a command'),
  verb('exec', 'run a command in a running env'),
  verb('enter', 'open a shell in a running env', ['shell']),
  verb('console', 'connect to the terminal of an env’s first process', ['attach']),
  verb('ps', 'list the processes of a running env'),
  verb('top', 'show what running envs do, and what they take'),
  verb('logs', 'print what the first process of an env has said'),
  verb('app add', 'put apps on top of an env’s stack, live'),
  verb('app remove', 'take apps out of it, live', ['app rm']),
  verb('mount', 'mount envs'),
  verb('umount', 'unmount envs', ['unmount']),
  verb('list', 'list envs', ['ls']),
  verb('info', 'show one env'),
  verb('diff', 'show what an env changed'),
  verb('df', 'show apparent, private and shared bytes per env'),
  verb('destroy', 'remove envs and all they hold', ['delete', 'rm']),
  verb('gc', 'remove what nobody uses or can go back to'),
  verb('fsck', 'check everything below the root, and repair it'),
  verb('scrub', 'read all objects at a bounded rate, and repair damaged ones'),
  verb('daemon', 'run the manager: API, operations, events, metrics, restarts'),
  verb('daemon upgrade', 'move mounted envs to drivers of this byref, while programs use them'),
  verb('events', 'follow what happens to envs, templates and operations'),
  verb('operation list', 'list what the daemon executes', ['operation ls']),
  verb('operation wait', 'wait for the end of one, and print what it prints'),
  verb('operation cancel', 'ask one to end'),
  verb('doctor', 'show what this machine can do'),
  verb('completion', 'print a completion script for a shell'),
];

/** Returns true for the first word of a two-word verb. */
export const isGroup = (word: string): boolean =>
  VERBS.some((entry) => entry.name.startsWith(`${word} `));

/** Returns the verb with this name or alias. */
export const findVerb = (name: string): Verb | undefined =>
  VERBS.find((entry) => entry.name === name || entry.aliases.includes(name));
