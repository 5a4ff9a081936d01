import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CAPABILITIES } from '../../src/manager/envs/runtime/oci-config.ts';
import { SECCOMP_FILE, seccompOf } from '../../src/manager/envs/runtime/seccomp.ts';

const FACTS = { capabilities: CAPABILITIES, arch: 'amd64', kernel: '6.1.0-13-amd64' };

const filter = (rule: object, facts: object = {}): readonly string[] => {
  const profile = {
    defaultAction: 'SCMP_ACT_ERRNO',
    archMap: [
      { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_X32'] },
    ],
    syscalls: [{ names: ['bpf'], action: 'SCMP_ACT_ALLOW', args: [], ...rule }],
  };
  const { syscalls, architectures } = seccompOf(JSON.stringify(profile), { ...FACTS, ...facts });
  expect(architectures).toEqual(['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86']);
  return syscalls.flatMap(({ names }) => names);
};

test.each([
  [{}, {}, true],
  [{ includes: { caps: ['CAP_BPF'] } }, {}, false],
  [{ includes: { caps: ['CAP_BPF'] } }, { capabilities: ['CAP_BPF'] }, true],
  [{ excludes: { caps: ['CAP_BPF'] } }, { capabilities: ['CAP_BPF'] }, false],
  [{ excludes: { caps: ['CAP_BPF'] } }, {}, true],
  [{ includes: { arches: ['amd64', 'x32'] } }, {}, true],
  [{ includes: { arches: ['s390x'] } }, {}, false],
  [{ excludes: { arches: ['amd64'] } }, {}, false],
  [{ includes: { minKernel: '4.8' } }, {}, true],
  [{ includes: { minKernel: '6.2' } }, {}, false],
  [{ excludes: { minKernel: '4.8' } }, {}, false],
])('the rule %o with %o', (rule, facts, applies) => {
  expect(filter(rule, facts)).toEqual(applies ? ['bpf'] : []);
});

test.skipIf(!existsSync(SECCOMP_FILE))('the filter that Debian has', () => {
  const { defaultAction, syscalls } = seccompOf(readFileSync(SECCOMP_FILE, 'utf8'), FACTS);
  const allowed = syscalls
    .filter(({ action, args }) => action === 'SCMP_ACT_ALLOW' && args === undefined)
    .flatMap(({ names }) => names);
  expect(defaultAction).toBe('SCMP_ACT_ERRNO');
  expect(allowed).toEqual(expect.arrayContaining(['openat', 'execve', 'chroot', 'fsync']));
  for (const name of ['bpf', 'init_module', 'open_by_handle_at', 'kexec_load'])
    expect(allowed).not.toContain(name);
  for (const rule of syscalls) expect(Object.keys(rule)).not.toContain('includes');
});
