/** What each command prints with --json, and what a daemon returns for the same request: docs/reference/json.md, "Values". */

import type { PatchRecord } from '../codec/patch-record.ts';
import type { EnvChange } from '../manager/envs/diff.ts';
import type { MountOutcome } from '../manager/envs/mount.ts';
import type { EnvProcess } from '../manager/envs/runtime/processes.ts';
import type { EnvSummary } from '../manager/envs/summary.ts';
import type { Package } from '../manager/recipes/build/packages.ts';
import type { VersionLog } from '../manager/rollout/log.ts';
import type { PatchPlan } from '../manager/rollout/plan.ts';
import type { Relinked } from '../manager/rollout/relink.ts';
import type { SavedEntry } from '../manager/rollout/saved.ts';
import type { StaleFile } from '../manager/rollout/stale.ts';
import type { StalePackage } from '../manager/rollout/stale-packages.ts';
import type { Diagnosis } from '../manager/upkeep/doctor/doctor.ts';
import type { FsckResult } from '../manager/upkeep/fsck/report.ts';
import type { EnvBackedUpInto } from './backup-all.ts';
import type { EnvBackedUp } from './backup-env.ts';
import type { TemplateBuilt } from './build-template.ts';
import type { TemplateCaptured } from './capture-result.ts';
import type { EnvCheckpointed } from './checkpoint-env.ts';
import type { EnvCloned } from './clone-env.ts';
import type { GarbageCollected } from './collect-garbage.ts';
import type { EnvDestroyed } from './destroy-env.ts';
import type { SnapshotDifference } from './diff-snapshots.ts';
import type { TemplateDifference } from './diff-templates.ts';
import type { NamedUsage } from './disk-usage.ts';
import type { EnvActivity } from './env-activity.ts';
import type { EnvConfig } from './env-config.ts';
import type { EnvInfo } from './env-info.ts';
import type { SettingsChanged } from './env-settings.ts';
import type { VolumeInfo } from './env-volumes.ts';
import type { Origin } from './explain-path.ts';
import type { TemplateExported } from './export-template.ts';
import type { EnvFrozen } from './freeze-env.ts';
import type { HistoryEntry } from './history.ts';
import type { TemplateImported } from './import-template.ts';
import type { EnvSignalled } from './kill-env.ts';
import type { SnapshotInfo } from './list-snapshots.ts';
import type { TemplateListed } from './list-templates.ts';
import type { RootMade } from './make-root.ts';
import type { EnvMoved } from './move-env.ts';
import type { Operation } from './operation.ts';
import type { Profile } from './profiles.ts';
import type { SnapshotRemoved } from './remove-snapshot.ts';
import type { TemplateRemoved } from './remove-template.ts';
import type { StaleRestarted } from './restart-stale.ts';
import type { EnvRestored } from './restore-env.ts';
import type { SnapshotRestored } from './restore-snapshot.ts';
import type { RootScrubbed } from './scrub-root.ts';
import type { TemplateDetails } from './show-template.ts';
import type { EnvStarted, EnvStopped } from './start-env.ts';
import type { SnapshotTaken } from './take-snapshot.ts';
import type { EnvUnmounted } from './umount-env.ts';
import type { DriverUpgraded } from './upgrade-drivers.ts';
import type { BackupVerified } from './verify-backup.ts';

/** The record of a move to other versions; null if there was nothing to do. Its times are milliseconds since the epoch. */
export type Moved = PatchRecord | null;

/** The value of each verb. Names are stable: fields may be added, none is renamed. */
export interface Results {
  readonly list: readonly EnvSummary[];
  readonly info: EnvInfo;
  readonly 'info --config': EnvConfig;
  /** Of several names, or with a count, an array. */
  readonly create: EnvSummary | readonly EnvSummary[];
  readonly mount: readonly MountOutcome[];
  readonly umount: readonly EnvUnmounted[];
  readonly diff: readonly EnvChange[];
  readonly 'template diff': readonly TemplateDifference[];
  readonly df: readonly NamedUsage[];
  readonly destroy: readonly EnvDestroyed[];
  readonly clone: readonly EnvCloned[];
  readonly snapshot: SnapshotTaken;
  readonly 'snapshot list': readonly SnapshotInfo[];
  readonly 'snapshot restore': SnapshotRestored;
  readonly 'snapshot rm': readonly SnapshotRemoved[];
  readonly 'snapshot diff': SnapshotDifference;
  readonly backup: EnvBackedUp;
  readonly 'backup --all': readonly EnvBackedUpInto[];
  readonly 'backup verify': BackupVerified;
  readonly restore: EnvRestored;
  readonly move: EnvMoved;
  readonly rename: EnvSummary;
  readonly start: readonly EnvStarted[];
  readonly restart: readonly EnvStarted[];
  readonly 'restart --stale': readonly StaleRestarted[];
  /** With --detach. */
  readonly run: EnvStarted;
  readonly stop: readonly EnvStopped[];
  readonly kill: readonly EnvSignalled[];
  readonly freeze: readonly EnvFrozen[];
  readonly thaw: readonly EnvFrozen[];
  readonly checkpoint: EnvCheckpointed;
  readonly ps: readonly EnvProcess[];
  /** Without a terminal, or with --once. */
  readonly top: readonly EnvActivity[];
  readonly set: SettingsChanged;
  readonly 'profile list': readonly Profile[];
  readonly 'volume add': VolumeInfo;
  readonly 'volume list': readonly VolumeInfo[];
  readonly 'volume rm': VolumeInfo;
  readonly 'daemon upgrade': readonly DriverUpgraded[];
  readonly 'operation list': readonly Operation[];
  readonly 'operation wait': Operation;
  readonly 'operation cancel': Operation;
  readonly init: RootMade;
  readonly fsck: FsckResult;
  readonly scrub: RootScrubbed;
  readonly doctor: Diagnosis;
  readonly 'template import': TemplateImported;
  readonly 'template list': readonly TemplateListed[];
  readonly 'template log': readonly VersionLog[];
  readonly 'template rm': TemplateRemoved;
  readonly patch: Moved;
  readonly rollback: Moved;
  readonly pin: Moved;
  readonly follow: Moved;
  readonly 'app add': Moved;
  readonly 'app remove': Moved;
  /** null if there is nothing to do. */
  readonly 'patch --check': PatchPlan | null;
  readonly history: readonly HistoryEntry[];
  /** Packages if they were asked for. */
  readonly stale: readonly StaleFile[] | readonly StalePackage[];
  readonly relink: readonly Relinked[];
  readonly 'saved list': readonly SavedEntry[];
  readonly 'saved rm': readonly SavedEntry[];
  readonly 'saved restore': SavedEntry;
  readonly gc: GarbageCollected;
  readonly 'template packages': readonly Package[];
  readonly 'template which': Origin;
  readonly 'template capture': TemplateCaptured;
  readonly 'template build': TemplateBuilt;
  readonly 'template update': TemplateBuilt;
  readonly 'template export': TemplateExported;
  readonly 'template show': TemplateDetails;
}
