import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { BYREF, sh, TREE } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

const SYSTEMD = '/usr/lib/systemd/systemd';
const GENERATOR = '/usr/lib/systemd/system-generators/systemd-fstab-generator';

let root: TestRoot;

beforeEach(async () => {
  root = await TestRoot.create();
  const source = root.directory('source');
  writeFileSync(path.join(source, 'file'), 'text\n');
  await root.ok('template', 'import', 't', source);
  for (const env of ['one', 'two']) await root.ok('create', env, '--os', 't');
  symlinkSync(path.join(TREE, 'bin/mount.byref'), path.join(root.directory('sbin'), 'mount.byref'));
});
afterEach(() => root.dispose());

/**
 * Begins a script in a mount namespace of its own: nothing but the test's directories can be written to, and /sbin
 * has the helper.
 */
const WITH_HELPER = `
  mount --bind "$1" "$1"; cd "$1"
  mount --bind "$BYREF_RUN" "$BYREF_RUN"
  mount -t overlay -o "lowerdir=$1/sbin:/usr/sbin" none /usr/sbin
  mount -t tmpfs none /run
  mount -o remount,bind,ro /
  unset BYREF_ROOT`;

/** Runs a script in a namespace of its own, in the test's directory; what it printed. */
async function inNamespace(script: string): Promise<string> {
  const { code, stdout, stderr } = await sh(
    'timeout -k 1 50 unshare --mount --propagation private sh -euc "$1" sh "$2"',
    [`${WITH_HELPER}\n${script}`, root.base],
    { env: root.env },
  );
  expect(code, `${stdout}${stderr}`).toBe(0);
  return stdout;
}

function fstab(place: string, options: string): void {
  mkdirSync(path.join(root.base, place), { recursive: true });
  const line = `one ${root.base}/${place} byref root=${root.path},${options} 0 0\n`;
  writeFileSync(path.join(root.base, 'fstab'), line);
}

test('mount -o: the kernel has what was said, and list and info show it', async () => {
  const mountpoint = await root.mount('one', '-o', 'ro,noatime', '-o', 'nodev,nosuid,noexec');
  const options = 'ro,nosuid,nodev,noexec,noatime';
  expect((await root.info('one')).options).toBe(options);
  expect(await root.ok('list', '-H', '-o', 'name,options')).toBe(`one\t${options}\ntwo\t-\n`);
  expect((await sh('echo x >"$1/file"', [mountpoint])).stderr).toContain('Read-only file system');
  // The file system is, not just this mount of it.
  const elsewhere = root.directory('elsewhere');
  const bound = await sh(
    'mount --bind "$1" "$2"; mount -o remount,bind,rw "$2"; touch "$2/x" || umount "$2"',
    [mountpoint, elsewhere],
  );
  expect(bound.stderr).toContain('Read-only file system');
  expect(await root.ok('mount', 'one')).toContain('already');
  const other = await root.byref('mount', 'one', '-o', 'rw');
  expect(other.code).toBe(EXIT.busy);
  expect(other.stderr).toContain(options);
  await root.ok('mount', 'one', '-o', 'remount,rw,relatime');
  expect((await root.info('one')).options).toBe('rw,nosuid,nodev,noexec,relatime');
  expect(await sh('echo x >"$1/file"', [mountpoint])).toMatchObject({ code: 0 });
  const unknown = await root.byref('mount', 'two', '-o', 'ro,quick');
  expect(unknown.code).toBe(EXIT.usage);
  expect(unknown.stderr).toContain('no such mount option: quick');
  await root.ok('mount', 'two', '-o', 'defaults,noatime,strictatime,nofail,_netdev,x-a.b=c,auto');
  expect((await root.info('two')).options).toBe('rw');
});

test('an fstab line, and mount -t byref; umount takes the directory', async () => {
  fstab('d1', 'ro,noatime,nofail,_netdev');
  root.directory('d2');
  const said = await inNamespace(`
    show() { findmnt -no OPTIONS "$1" | sed s/,user_id.*//; }
    mount -a -T fstab; mount -a -T fstab
    grep -c " $1/d1 " /proc/self/mountinfo; show d1
    ! touch d1/x 2>/dev/null
    mount -T fstab -o remount,rw "$1/d1"; show d1; touch d1/x
    umount d1; umount d1 2>/dev/null || echo gone
    export BYREF_ROOT=$1/root
    mount -t byref -o nosuid,nodev,noexec two d2; show d2
    ! mount -t byref -o quick one d1 2>/dev/null || exit 9
    mount -t byref one d3 2>/dev/null || echo $?
    mount -t byref three d1 2>/dev/null || echo $?
    ${BYREF} list -H -o name,state | grep two
    # The driver is of this namespace, too, and would keep it.
    umount d2`);
  expect(said.split('\n')).toEqual([
    ...['1', 'ro,noatime', 'rw,noatime', 'gone', 'rw,nosuid,nodev,noexec,relatime'],
    ...['32', '32', 'two\tmounted', ''],
  ]);
});

/**
 * Systemd in a control group of the test's own, as the first process of namespaces of its own. It has no units but the
 * test's: those of a machine's start would clean up the machine.
 */
const BOOT = `
  SYSTEMD_FSTAB=$1/fstab ${GENERATOR} "$1/units" "$1/units/late" "$1/units/late"
  mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys
  umount -l /sys/fs/cgroup
  mount -t cgroup2 none /sys/fs/cgroup
  exec env container=byref "SYSTEMD_UNIT_PATH=$1/units" "SYSTEMD_GENERATOR_PATH=$1/units/late" \
    ${SYSTEMD} --unit=check.service --log-target=console --show-status=0`;

/** What this machine needs for it. */
const HAS_SYSTEMD =
  [SYSTEMD, GENERATOR].every((file) => existsSync(file)) &&
  readFileSync('/proc/self/mountinfo', 'utf8').includes(' - cgroup2 ');

test.runIf(HAS_SYSTEMD)('systemd mounts the env of an fstab line when it starts', async () => {
  fstab('d1', 'ro,noatime,nofail');
  root.directory('units/late');
  writeFileSync(
    path.join(root.base, 'units/check.service'),
    `[Unit]
DefaultDependencies=no
RequiresMountsFor=${root.base}/d1/file
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'grep " ${root.base}/d1 " /proc/self/mountinfo >${root.base}/seen; cat ${root.base}/d1/file >>${root.base}/seen; umount ${root.base}/d1'
`,
  );
  const { code, stdout, stderr } = await sh(
    `group=$(findmnt -no TARGET -t cgroup2 | tail -1)/byref-test-$$
       mkdir "$group"
       trap 'echo 0 >"\${group%/*}/cgroup.procs"; find "$group" -depth -type d -exec rmdir {} +' EXIT
       echo 0 >"$group/cgroup.procs"
       timeout -k 1 40 unshare --mount --propagation private --pid --fork --kill-child --cgroup --uts --ipc \\
         --mount-proc sh -euc "$2" sh "$1"`,
    [root.base, `${WITH_HELPER}\n${BOOT}`],
    { env: root.env },
  );
  const seen = existsSync(`${root.base}/seen`) ? readFileSync(`${root.base}/seen`, 'utf8') : '';
  expect(seen, `${code}\n${stdout}${stderr}`).toMatch(/ ro,noatime .*fuse[.]byref.*\ntext\n$/);
  expect((await root.info('one')).state).toBe('stopped');
});
