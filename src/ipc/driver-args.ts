/** What a driver takes as the arguments of each of its verbs (protocol.ts). Anything else is answered with an error. */
import type { NameAction, SeenFile, StepsAction } from '../driver/core/set-aside.ts';
import {
  type Check,
  eitherOf,
  fieldsOf,
  listOf,
  nothing,
  nullOr,
  numberFrom,
  oneOf,
  textUpTo,
  yesOrNo,
} from './check.ts';
import type {
  DriverVerbs,
  EnvActions,
  HeldVersion,
  MountRequest,
  PrepareRequest,
  RefreshRequest,
  WritersRequest,
} from './protocol.ts';

/** Ids in the store are of 32 bits. */
const ID_MAX = 2 ** 32 - 1;
const PATH_MAX = 4096;
const NAME_MAX = 255;
const OBJECT_DIGITS = 64;

const id = numberFrom(1, ID_MAX);
const ino = numberFrom(0);
const any = numberFrom(Number.MIN_SAFE_INTEGER);
/** A file in the env's directory. */
const fileName = textUpTo(NAME_MAX, /^[^/]+$/);
const absolutePath = textUpTo(PATH_MAX, /^[/]/);
const env = fieldsOf<{ env: number }>({ env: id });
const stack = listOf(fieldsOf<HeldVersion>({ templateId: id, version: numberFrom(0, ID_MAX) }));

const steps = fieldsOf<StepsAction>({ what: oneOf('steps'), file: fileName });
const seen = fieldsOf<SeenFile>({
  size: numberFrom(0),
  ...{ mtime: any, mtimeNs: any, ctime: any, ctimeNs: any },
});
const action = fieldsOf<NameAction>({
  what: oneOf('take', 'replace', 'restore', 'discard'),
  dir: ino,
  name: fileName,
  patch: numberFrom(0, ID_MAX),
  ino,
  file: nullOr(fileName),
  seen: nullOr(seen),
  save: oneOf(undefined, false),
});

/** By verb. */
export const DRIVER_ARGS: Readonly<Record<keyof DriverVerbs, Check>> = {
  status: nothing,
  metrics: nothing,
  mount: fieldsOf<MountRequest>({
    env: id,
    mountpoint: absolutePath,
    transport: oneOf('kernel', 'fuse-native'),
    passthrough: yesOrNo,
    trace: yesOrNo,
    mountFlags: numberFrom(0, 2 ** 32 - 1),
  }),
  device: env,
  attached: fieldsOf<{ env: number; mountpoint: string }>({ env: id, mountpoint: absolutePath }),
  prepare: fieldsOf<PrepareRequest>({
    versions: stack,
    stacks: listOf(fieldsOf<PrepareRequest['stacks'][number]>({ env: id, stack })),
  }),
  refresh: fieldsOf<RefreshRequest>({
    envs: nullOr(listOf(id)),
    acts: listOf(fieldsOf<EnvActions>({ env: id, acts: listOf(eitherOf(steps, action)) })),
  }),
  busy: fieldsOf<{ settle: boolean }>({ settle: yesOrNo }),
  held: nothing,
  writers: fieldsOf<WritersRequest>({ env: id, after: numberFrom(0), limit: numberFrom(1) }),
  closed: env,
  limits: env,
  replaced: fieldsOf<{ objects: readonly string[] }>({
    objects: listOf(textUpTo(OBJECT_DIGITS, /^[0-9a-f]{64}$/)),
  }),
  hold: env,
  leave: fieldsOf<{ records: number; restart: readonly string[] }>({
    records: numberFrom(0),
    restart: listOf(textUpTo(PATH_MAX)),
  }),
  stop: fieldsOf<{ force: boolean }>({ force: yesOrNo }),
};
