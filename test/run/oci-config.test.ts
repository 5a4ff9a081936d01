import { describe, expect, it, test } from 'vitest';
import { NO_SETTINGS } from '../../src/codec/env-settings.ts';
import { ioWrites } from '../../src/manager/envs/runtime/io-limits.ts';
import {
  type BundleRequest,
  CAPABILITIES,
  capabilitiesIn,
  ociConfig,
  resourcesOf,
} from '../../src/manager/envs/runtime/oci-config.ts';

const { limits: NO_LIMITS } = NO_SETTINGS;

const REQUEST: BundleRequest = {
  hostname: 'web1',
  init: {
    args: ['/dev/byref-init', '--', 'nginx'],
    isSystemd: false,
    helper: '/usr/bin/catatonit',
  },
  environment: { LANG: 'C.UTF-8' },
  terminal: false,
  ids: { first: 1_073_741_824, size: 65_536 },
  network: 'none',
  places: [
    { place: '/run/byref/key.envs/1/volumes/1', path: '/srv', readOnly: false, isDevice: false },
    {
      place: '/run/byref/key.envs/1/binds/0',
      path: '/srv/tmp/www',
      readOnly: true,
      isDevice: false,
    },
    {
      place: '/run/byref/key.envs/1/binds/device-0',
      path: '/dev/fuse',
      readOnly: false,
      isDevice: true,
    },
  ],
  tmpfs: [{ path: '/srv/tmp', sizeBytes: 4096 }],
  resolved: null,
  cgroupsPath: '/byref/key/env-1',
  limits: NO_LIMITS,
  disks: [],
  devices: [{ type: 'c', major: 10, minor: 229, access: 'rw' }],
  capabilities: CAPABILITIES,
  hook: null,
  seccomp: { defaultAction: 'SCMP_ACT_ERRNO', architectures: [], syscalls: [] },
};

const types = (request: BundleRequest): string[] =>
  ociConfig(request).linux.namespaces.map(({ type }) => type);

const mountAt = (request: BundleRequest, destination: string) =>
  ociConfig(request).mounts.find((mount) => mount.destination === destination);

describe('the configuration of an env', () => {
  it('gives it namespaces of its own, with ids that are nobody on the machine', () => {
    expect(types(REQUEST).sort()).toEqual(
      ['cgroup', 'ipc', 'mount', 'network', 'pid', 'user', 'uts'].sort(),
    );
    const { uidMappings, gidMappings } = ociConfig(REQUEST).linux;
    expect(uidMappings).toEqual([{ containerID: 0, hostID: 1_073_741_824, size: 65_536 }]);
    expect(gidMappings).toEqual(uidMappings);
  });

  it('gives it few capabilities, a filter of system calls, and no devices but those that are set', () => {
    const { process, linux } = ociConfig(REQUEST);
    expect(process.capabilities.bounding).toEqual(CAPABILITIES);
    expect(process.capabilities.bounding).not.toContain('CAP_SYS_ADMIN');
    expect(linux.seccomp).toEqual(REQUEST.seccomp);
    expect(linux.resources.devices).toEqual([
      { allow: false, access: 'rwm' },
      { allow: true, type: 'c', major: 10, minor: 229, access: 'rw' },
    ]);
    expect(mountAt(REQUEST, '/dev/fuse')?.options).not.toContain('nodev');
    expect(linux.readonlyPaths).toContain('/proc/sys');
    expect(linux.maskedPaths).toContain('/proc/kcore');
    expect(mountAt(REQUEST, '/sys')?.options).toContain('ro');
  });

  it('runs a command behind the program that passes signals on', () => {
    const { args, env, user } = ociConfig(REQUEST).process;
    expect(args).toEqual(['/dev/byref-init', '--', 'nginx']);
    expect(env).toContain('LANG=C.UTF-8');
    expect(env).toContain('container=byref');
    expect(user).toEqual({ uid: 0, gid: 0 });
    expect(mountAt(REQUEST, '/dev/byref-init')).toMatchObject({
      source: '/usr/bin/catatonit',
      options: expect.arrayContaining(['ro']),
    });
  });

  it('shows systemd control groups and places that it may write to', () => {
    const request = {
      ...REQUEST,
      init: { args: ['/sbin/init'], isSystemd: true, helper: null },
      terminal: true,
    };
    expect(mountAt(request, '/sys/fs/cgroup')?.options).toContain('rw');
    expect(mountAt(REQUEST, '/sys/fs/cgroup')?.options).toContain('ro');
    for (const at of ['/run', '/run/lock', '/tmp'])
      expect(mountAt(request, at)?.type).toBe('tmpfs');
    expect(mountAt(REQUEST, '/run')).toBeUndefined();
    expect(mountAt(request, '/dev/byref-init')).toBeUndefined();
    expect(ociConfig(request).process).toMatchObject({ terminal: true, args: ['/sbin/init'] });
  });

  it('keeps nothing from a privileged env but other processes', () => {
    const { linux, process } = ociConfig({
      ...REQUEST,
      ids: null,
      seccomp: null,
      capabilities: capabilitiesIn('1ffffffffff'),
    });
    expect(linux.namespaces.map(({ type }) => type)).not.toContain('user');
    expect(linux.uidMappings).toBeUndefined();
    expect(linux.seccomp).toBeUndefined();
    expect(linux.maskedPaths).toEqual([]);
    expect(process.capabilities.bounding).toContain('CAP_SYS_MODULE');
    expect(linux.resources.devices).toEqual([{ allow: true, access: 'rwm' }]);
  });

  it('has its volumes at their paths', () => {
    const source = '/run/byref/key.envs/1/volumes/1';
    expect(mountAt(REQUEST, '/srv')).toMatchObject({ type: 'bind', source });
    expect(mountAt(REQUEST, '/srv/tmp')).toMatchObject({
      type: 'tmpfs',
      options: expect.arrayContaining(['size=4096', 'nosuid', 'nodev']),
    });
    expect(mountAt(REQUEST, '/srv/tmp/www')?.options).toContain('ro');
    // What is in another comes after it.
    const at = ociConfig(REQUEST).mounts.map(({ destination }) => destination);
    expect(at.filter((each) => each.startsWith('/srv'))).toEqual([
      '/srv',
      '/srv/tmp',
      '/srv/tmp/www',
    ]);
  });

  it('leaves the network to the machine if that is wanted', () => {
    const request = { ...REQUEST, network: 'host' as const };
    expect(types(request)).not.toContain('network');
    // A user namespace that does not own the network may not mount a sysfs for it.
    expect(mountAt(request, '/sys')).toMatchObject({ source: '/sys', type: 'none' });
  });
});

test.each([
  ['0', []],
  ['1', ['CAP_CHOWN']],
  ['0000000000200000', ['CAP_SYS_ADMIN']],
  ['10000000000', ['CAP_CHECKPOINT_RESTORE']],
  ['80000000000', []],
])('the capabilities in %s', (hexadecimal, names) => {
  expect(capabilitiesIn(hexadecimal)).toEqual(names);
});

describe('limits of input and output', () => {
  const disks = [{ major: 8, minor: 16, name: 'sdb' }];
  const limits = {
    ...NO_LIMITS,
    ioRead: { bytes: 1e6, iops: null },
    ioWrite: { bytes: null, iops: 20 },
  };
  const at = { major: 8, minor: 16 };

  it('are those of each disk', () => {
    expect(resourcesOf(limits, false, disks).blockIO).toEqual({
      throttleReadBpsDevice: [{ ...at, rate: 1e6 }],
      throttleWriteIOPSDevice: [{ ...at, rate: 20 }],
    });
    expect(resourcesOf(limits, false, []).blockIO).toBeUndefined();
  });

  it('are changed in the files of cgroup v1', () => {
    expect(ioWrites('/env', NO_LIMITS, limits, disks, false)).toEqual(
      [
        ['read_bps', 1e6],
        ['read_iops', 0],
        ['write_bps', 0],
        ['write_iops', 20],
      ].map(([name, rate]) => ({
        file: `/sys/fs/cgroup/blkio/env/blkio.throttle.${name}_device`,
        text: `8:16 ${rate}`,
      })),
    );
  });

  it('and in that of cgroup v2', () => {
    const file = '/sys/fs/cgroup/env/io.max';
    expect(ioWrites('/env', NO_LIMITS, limits, disks, true)).toEqual([
      { file, text: '8:16 rbps=1000000 wbps=max riops=max wiops=20' },
    ]);
    expect(ioWrites('/env', limits, NO_LIMITS, disks, true)).toEqual([
      { file, text: '8:16 rbps=max wbps=max riops=max wiops=max' },
    ]);
    expect(ioWrites('/env', NO_LIMITS, NO_LIMITS, disks, true)).toEqual([]);
  });
});

describe('limits', () => {
  const limited = (limits: object) => resourcesOf({ ...NO_LIMITS, ...limits }, false);

  it.each([
    [{}, {}],
    [{ cpus: 0.5 }, { cpu: { quota: 50_000, period: 100_000 } }],
    [{ cpus: 0.001 }, { cpu: { quota: 1000, period: 100_000 } }],
    [{ cpuShare: 200 }, { cpu: { shares: 2048 } }],
    [{ cpuShare: 0.01 }, { cpu: { shares: 2 } }],
    [{ cpuSet: '0-1' }, { cpu: { cpus: '0-1' } }],
    [{ memoryBytes: 64e6 }, { memory: { limit: 64e6 } }],
    [{ memoryBytes: 64e6, swapBytes: 1e6 }, { memory: { limit: 64e6, swap: 65e6 } }],
    [{ swapBytes: 1e6 }, {}],
    [{ memoryGuaranteeBytes: 32e6 }, { memory: { reservation: 32e6 } }],
    [{ processes: 20 }, { pids: { limit: 20 } }],
  ])('%o are told the runtime as %o', (limits, expected) => {
    const { devices: _devices, ...resources } = limited(limits);
    expect(resources).toEqual(expected);
  });
});
