import type { Command } from 'commander';

/** The module of a verb: it makes the commander command with its options and action. */
interface CommandModule {
  readonly default: () => Command;
}

/** Loads each verb's module, when the verb is used. */
const MODULES: Readonly<Record<string, () => Promise<CommandModule>>> = {
  init: () => import('./commands/init.ts'),
  'template build': () => import('./commands/template-build.ts'),
  'template update': () => import('./commands/template-update.ts'),
  'template capture': () => import('./commands/template-capture.ts'),
  'template import': () => import('./commands/template-import.ts'),
  'template list': () => import('./commands/template-list.ts'),
  'template show': () => import('./commands/template-show.ts'),
  'template log': () => import('./commands/template-log.ts'),
  'template diff': () => import('./commands/template-diff.ts'),
  'template which': () => import('./commands/template-which.ts'),
  'template packages': () => import('./commands/template-packages.ts'),
  'template rm': () => import('./commands/template-rm.ts'),
  'template export': () => import('./commands/template-export.ts'),
  patch: () => import('./commands/patch.ts'),
  rollback: () => import('./commands/rollback.ts'),
  pin: () => import('./commands/pin.ts'),
  follow: () => import('./commands/follow.ts'),
  history: () => import('./commands/history.ts'),
  stale: () => import('./commands/stale.ts'),
  relink: () => import('./commands/relink.ts'),
  'saved list': () => import('./commands/saved-list.ts'),
  'saved restore': () => import('./commands/saved-restore.ts'),
  'saved rm': () => import('./commands/saved-rm.ts'),
  gc: () => import('./commands/gc.ts'),
  'app add': () => import('./commands/app-add.ts'),
  'app remove': () => import('./commands/app-remove.ts'),
  create: () => import('./commands/create.ts'),
  start: () => import('./commands/start.ts'),
  stop: () => import('./commands/stop.ts'),
  restart: () => import('./commands/restart.ts'),
  kill: () => import('./commands/kill.ts'),
  freeze: () => import('./commands/freeze.ts'),
  thaw: () => import('./commands/thaw.ts'),
  run: () => import('./commands/run.ts'),
  exec: () => import('./commands/exec.ts'),
  enter: () => import('./commands/enter.ts'),
  top: () => import('./commands/top.ts'),
  'profile list': () => import('./commands/profile-list.ts'),
  'volume add': () => import('./commands/volume-add.ts'),
  'volume list': () => import('./commands/volume-list.ts'),
  'volume rm': () => import('./commands/volume-rm.ts'),
  console: () => import('./commands/console.ts'),
  clone: () => import('./commands/clone.ts'),
  backup: () => import('./commands/backup.ts'),
  'backup verify': () => import('./commands/backup-verify.ts'),
  restore: () => import('./commands/restore.ts'),
  snapshot: () => import('./commands/snapshot.ts'),
  'snapshot list': () => import('./commands/snapshot-list.ts'),
  'snapshot restore': () => import('./commands/snapshot-restore.ts'),
  'snapshot rm': () => import('./commands/snapshot-rm.ts'),
  'snapshot diff': () => import('./commands/snapshot-diff.ts'),
  rename: () => import('./commands/rename.ts'),
  ps: () => import('./commands/ps.ts'),
  logs: () => import('./commands/logs.ts'),
  set: () => import('./commands/set.ts'),
  mount: () => import('./commands/mount.ts'),
  umount: () => import('./commands/umount.ts'),
  list: () => import('./commands/list.ts'),
  info: () => import('./commands/info.ts'),
  diff: () => import('./commands/diff.ts'),
  df: () => import('./commands/df.ts'),
  destroy: () => import('./commands/destroy.ts'),
  fsck: () => import('./commands/fsck.ts'),
  scrub: () => import('./commands/scrub.ts'),
  daemon: () => import('./commands/daemon.ts'),
  'daemon upgrade': () => import('./commands/daemon-upgrade.ts'),
  events: () => import('./commands/events.ts'),
  'operation list': () => import('./commands/operation-list.ts'),
  'operation wait': () => import('./commands/operation-wait.ts'),
  'operation cancel': () => import('./commands/operation-cancel.ts'),
  doctor: () => import('./commands/doctor.ts'),
  completion: () => import('./commands/completion.ts'),
};

/** Loads the command of a verb. */
export async function loadCommand(verb: string): Promise<Command> {
  const load = MODULES[verb];
  if (!load) throw new Error(`no module for ${verb}`);
  return (await load()).default();
}
