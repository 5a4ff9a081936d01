/**
 * Turns the default filter of system calls of Podman and Buildah into what an OCI runtime takes. Debian has it in
 * golang-github-containers-common: /usr/share/containers/seccomp.json. Its rules depend on the capabilities that programs have,
 * and on the machine. Format: containers/common, pkg/seccomp.
 */
import { readFileSync } from 'node:fs';
import { ByrefError } from '../../../base/error.ts';
import { procText } from '../../../base/proc.ts';
import type { OciSeccomp, SeccompRule } from './oci-spec.ts';

/** Where Debian's package puts it. */
export const SECCOMP_FILE = '/usr/share/containers/seccomp.json';

interface Condition {
  readonly caps?: readonly string[];
  readonly arches?: readonly string[];
  readonly minKernel?: string;
}

interface ProfileRule extends SeccompRule {
  readonly name?: string;
  readonly includes?: Condition;
  readonly excludes?: Condition;
}

interface Profile {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly archMap?: readonly {
    readonly architecture: string;
    readonly subArchitectures?: readonly string[] | null;
  }[];
  readonly syscalls: readonly ProfileRule[];
}

/** The facts that a profile's conditions ask for. */
export interface SeccompFacts {
  readonly capabilities: readonly string[];
  /** As Go calls it: amd64, arm64. */
  readonly arch: string;
  /** Of the kernel, as "6.18". */
  readonly kernel: string;
}

const ARCHITECTURES: Readonly<Record<string, string>> = {
  amd64: 'SCMP_ARCH_X86_64',
  arm64: 'SCMP_ARCH_AARCH64',
};

/**
 * Not filtered, and so ended: no Debian kernel offers these calls unless it is told to at boot (syscall.x32=y), and
 * their rules take the runtime half of the time in which it starts an env.
 */
const UNUSED = 'SCMP_ARCH_X32';

/** Returns the filter for these facts. @param text the profile, as JSON @throws SyntaxError */
export function seccompOf(text: string, facts: SeccompFacts): OciSeccomp {
  const profile = JSON.parse(text) as Profile;
  const own = ARCHITECTURES[facts.arch];
  const mapped = profile.archMap?.find(({ architecture }) => architecture === own);
  const others = (mapped?.subArchitectures ?? []).filter((each) => each !== UNUSED);
  const architectures = own === undefined ? [] : [own, ...others];
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet !== undefined && { defaultErrnoRet: profile.defaultErrnoRet }),
    architectures,
    syscalls: profile.syscalls.filter((rule) => applies(rule, facts)).map(plain),
  };
}

function applies({ includes = {}, excludes = {} }: ProfileRule, facts: SeccompFacts): boolean {
  const has = (capability: string): boolean => facts.capabilities.includes(capability);
  if (includes.caps && !includes.caps.every(has)) return false;
  if (excludes.caps?.some(has)) return false;
  if (includes.arches && !includes.arches.includes(facts.arch)) return false;
  if (excludes.arches?.includes(facts.arch)) return false;
  if (includes.minKernel !== undefined && !isAtLeast(facts.kernel, includes.minKernel))
    return false;
  return excludes.minKernel === undefined || !isAtLeast(facts.kernel, excludes.minKernel);
}

function isAtLeast(kernel: string, wanted: string): boolean {
  const [major = 0, minor = 0] = kernel.split(/[.-]/).map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

/** Leaves out what only the profile's format has. */
function plain({ name, names, action, errnoRet, args }: ProfileRule): SeccompRule {
  return {
    names: names.length > 0 || name === undefined ? names : [name],
    action,
    ...(errnoRet !== undefined && { errnoRet }),
    ...(args && args.length > 0 && { args }),
  };
}

/** Returns the filter for programs with these capabilities. @throws ByrefError 'unsupported' if the profile is not installed */
export function filterFor(capabilities: readonly string[]): OciSeccomp {
  const facts = {
    capabilities,
    arch: process.arch === 'x64' ? 'amd64' : process.arch,
    kernel: procText('/proc/sys/kernel/osrelease'),
  };
  let profile: string;
  try {
    profile = readFileSync(SECCOMP_FILE, 'utf8');
  } catch (cause) {
    const message = `${SECCOMP_FILE} is missing, the filter of system calls for envs`;
    const hint = 'Install it: apt-get install golang-github-containers-common.';
    throw new ByrefError('unsupported', message, hint, { cause });
  }
  return seccompOf(profile, facts);
}
