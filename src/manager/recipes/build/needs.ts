/** What a template says its envs need: a part of the configuration that each version keeps. */
import { parse, stringify } from 'yaml';
import { FieldsParser, type Kind, listOf, mapOf, text } from './fields.ts';

/** What an env of a template needs. */
export interface Needs {
  /** Beyond those of each env, as NET_ADMIN. An env that is not privileged gets those of a bounded list (base/capabilities.ts). */
  readonly capabilities?: readonly string[];
  /** PATH, or PATH:r. */
  readonly devices?: readonly string[];
  /** As of byref set; a port alone, as 80, is one that its programs listen on. */
  readonly ports?: readonly string[];
  /** PATH, or PATH:SIZE. */
  readonly volumes?: readonly string[];
  readonly tmpfs?: readonly string[];
  /** NAME=VALUE. */
  readonly environment?: readonly string[];
  /** The first process, as byref set takes it. */
  readonly init?: string;
}

/** A field of Needs. */
export type Need = keyof Needs;

const placeKind = text('a path, or PATH:SIZE', /^\/[^,\n]*$/);

const FIELDS = {
  capabilities: listOf(text('a capability, as NET_ADMIN', /^[A-Z][A-Z_]+$/)),
  devices: listOf(text('a device, as /dev/fuse or /dev/loop0:r', /^\/dev\/[^,\s]+$/)),
  ports: listOf<string>({
    what: 'a port, as 80 or "8080:80"',
    read: (value) =>
      /^[\d.:[\]a-f]+(?:\/(?:tcp|udp))?$/.test(String(value)) ? String(value) : undefined,
  }),
  volumes: listOf(placeKind),
  tmpfs: listOf(placeKind),
  environment: listOf(text('a variable: NAME=VALUE', /^[A-Za-z_]\w*=[^\n]*$/)),
  init: text('a command', /\S/),
};

/** The field of a build file. */
export const NEEDS: Kind<Needs> = mapOf(
  'what envs need: a map of capabilities, devices, ports, volumes, tmpfs, environment, init',
  FIELDS,
  [],
);

/** Reads a file that says nothing else. @throws ByrefError 'badInput' with a line for each mistake */
export function parseNeeds(source: string, file: string): Needs {
  const hint = 'See "What envs need" in docs/reference/building.md.';
  const parser = new FieldsParser(FIELDS, source, {
    file,
    example: 'capabilities: [NET_ADMIN]',
    hint,
  });
  const needs = parser.fields();
  parser.refuseIfAny();
  return needs;
}

/** Returns what a version that was not built keeps as its configuration. */
export const needsText = (needs: Needs): string => stringify({ needs });

/** Returns what the configuration of a version says of its envs. */
export function needsIn(config: string): Needs {
  if (!config.includes('needs:')) return {};
  return (parse(config) as { readonly needs?: Needs }).needs ?? {};
}

/** True for the configuration of a version that was built. */
export const isBuildConfig = (config: string): boolean =>
  config !== '' && !config.startsWith('needs:');
