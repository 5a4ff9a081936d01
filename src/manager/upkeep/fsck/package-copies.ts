/**
 * Gets the bytes of damaged objects from the repositories of the packages that they came in: apt of this machine fetches a package as the
 * template's own apt would, by its sources and keys, and in its version there.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { ObjectId } from '../../../base/ids.ts';
import { makeTemporaryDir } from '../../../base/temporary-dir.ts';
import { isPresent, type PackageRecord } from '../../merge/packages.ts';
import { EnvTree } from '../../packages/env-tree.ts';
import { filesOf, packagesIn } from '../../packages/package-files.ts';
import { hashFile } from '../objects/object-file.ts';
import type { Job } from './job.ts';
import type { ObjectUse } from './object-uses.ts';

/** The package of a template that has an object. */
export interface PackageOfObject {
  readonly tree: EnvTree;
  readonly record: PackageRecord;
}

/** A file that was fetched; or why there is none, in words that follow a colon. */
export type FetchedObject = { readonly file: string } | { readonly why: string };

const APT = '/etc/apt';
const SOURCE_DIRS = [`${APT}/sources.list.d`];
const KEY_DIRS = [`${APT}/trusted.gpg.d`, `${APT}/keyrings`, '/usr/share/keyrings'];
/** A path of a key in the sources of apt: in an entry of one line, or a field of a stanza. */
const KEY_PATH = /(signed-by\s*[=:]\s*)(\/[^\s\]]+)/gi;
const MERGED = /^\/usr(\/(?:bin|sbin|lib|lib32|lib64|libx32|libo32)\/)/;
const TIMEOUT_MS = 300_000;

/** Names a package as people do: "nginx 1.22.1-9". */
export const packageText = ({ name, version }: PackageRecord): string => `${name} ${version}`;

/** Finds packages of templates, and fetches them. */
export class PackageCopies {
  private readonly job: Job;
  private readonly trees = new Map<string, TemplatePackages>();

  constructor(job: Job) {
    this.job = job;
  }

  /** Returns the package that has an object under one of its names; null if none has it. */
  packageOf(uses: readonly ObjectUse[] = []): PackageOfObject | null {
    for (const { template, dir, name, to } of uses) {
      if (this.job.isComposition(template)) continue;
      const packages = this.packagesOf(template, to);
      const at = this.job.paths.place(dir, name);
      const record = packages?.owners.get(at) ?? packages?.owners.get(at.replace(MERGED, '$1'));
      if (packages && record) return { tree: packages.tree, record };
    }
    return null;
  }

  /**
   * Fetches packages, and looks for the bytes of objects in them. It takes as long as the network does: nobody may wait for a lock meanwhile.
   * What is fetched is there until the process ends.
   * @param wanted the objects, each with its package
   */
  fetch(wanted: ReadonlyMap<ObjectId, PackageOfObject>): Map<ObjectId, FetchedObject> {
    const found = new Map<ObjectId, FetchedObject>();
    const apts = new Map<EnvTree, TemplateApt | string>();
    const unpacked = new Map<PackageRecord, ReadonlyMap<string, string> | string>();
    for (const [id, { tree, record }] of wanted) {
      const apt = apts.get(tree) ?? TemplateApt.prepare(tree);
      apts.set(tree, apt);
      const files = unpacked.get(record) ?? (typeof apt === 'string' ? apt : apt.unpack(record));
      unpacked.set(record, files);
      const file = typeof files === 'string' ? undefined : files.get(id);
      const why =
        typeof files === 'string' ? files : `${packageText(record)} has other bytes there`;
      found.set(id, file === undefined ? { why } : { file });
    }
    return found;
  }

  private packagesOf(templateId: number, version: number): TemplatePackages | null {
    const key = `${templateId}@${version}`;
    let found = this.trees.get(key);
    try {
      found ??= templatePackages(this.job, templateId, version);
      this.trees.set(key, found);
      return found;
    } catch {
      // A store that is damaged may not say.
      return null;
    }
  }
}

interface TemplatePackages {
  readonly tree: EnvTree;
  /** The packages of the paths that dpkg's lists have. */
  readonly owners: ReadonlyMap<string, PackageRecord>;
}

function templatePackages({ store }: Job, templateId: number, version: number): TemplatePackages {
  const base = store.catalog.version(templateId, version)?.base;
  const ref = { templateId, version };
  const tree = new EnvTree(store, store.lowerTree(base ? [base, ref] : [ref]), null);
  const owners = new Map<string, PackageRecord>();
  for (const record of packagesIn(tree).values()) {
    if (isPresent(record)) for (const file of filesOf(tree, record)) owners.set(file, record);
  }
  return { tree, owners };
}

/** apt in a directory of its own, with the sources and keys of a template. */
class TemplateApt {
  private readonly dir: string;

  private constructor(dir: string) {
    this.dir = dir;
  }

  /** Has apt read the repositories of a template; returns why it can't, if so. */
  static prepare(tree: EnvTree): TemplateApt | string {
    const dir = makeTemporaryDir('packages');
    process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
    for (const each of ['etc/apt/preferences.d', 'lists/partial', 'cache/archives/partial', 'debs'])
      mkdirSync(path.join(dir, each), { recursive: true });
    for (const each of KEY_DIRS)
      for (const name of tree.names(each)) copyOut(tree, `${each}/${name}`, dir);
    const sources = [
      `${APT}/sources.list`,
      ...SOURCE_DIRS.flatMap((each) => tree.names(each).map((name) => `${each}/${name}`)),
    ].filter((each) => copyOut(tree, each, dir));
    if (sources.length === 0) return 'the template names no package repository';
    writeFileSync(path.join(dir, 'status'), '');
    writeFileSync(path.join(dir, 'apt.conf'), configuration(dir, tree));
    const apt = new TemplateApt(dir);
    return apt.run(['apt-get', 'update', '--error-on=any']) ?? apt;
  }

  /** Fetches a package and unpacks it. Returns its files by their SHA-256, or why there are none. */
  unpack({ name, architecture, version }: PackageRecord): ReadonlyMap<string, string> | string {
    const debs = mkdtempSync(path.join(this.dir, 'debs/'));
    const files = path.join(debs, 'files');
    const which = architecture === 'all' ? name : `${name}:${architecture}`;
    const failed = this.run(['apt-get', 'download', `${which}=${version}`], debs);
    if (failed !== null) return failed;
    const deb = readdirSync(debs).find((file) => file.endsWith('.deb'));
    if (deb === undefined) return `apt-get fetched no file of ${name}`;
    const refused = this.run(['dpkg-deb', '--extract', path.join(debs, deb), files]);
    return refused ?? filesByHash(files);
  }

  /** Returns null, or why the program failed. */
  private run([program = '', ...words]: readonly string[], cwd = this.dir): string | null {
    const { error, status, stderr } = spawnSync(program, words, {
      cwd,
      env: {
        PATH: process.env['PATH'],
        LC_ALL: 'C.UTF-8',
        APT_CONFIG: path.join(this.dir, 'apt.conf'),
      },
      encoding: 'utf8',
      timeout: TIMEOUT_MS,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    if (error !== undefined) return `${program}: ${error.message}`;
    if (status === 0) return null;
    const said = stderr.split('\n').find((line) => /^(E|dpkg-deb):/.test(line)) ?? stderr.trim();
    return `${program} ${words[0]}: ${said.replace(/^E: /, '')}`;
  }
}

/** Copies a file of a template to the same path below a directory. Returns false if there is none. */
function copyOut(tree: EnvTree, at: string, dir: string): boolean {
  const content = tree.content(at);
  if (content === null) return false;
  const file = path.join(dir, at);
  mkdirSync(path.dirname(file), { recursive: true });
  // A key that the template does not have may be this machine's.
  const withKeys = content.replace(KEY_PATH, (_all, field: string, key: string) =>
    tree.content(key) === null ? `${field}${key}` : `${field}${path.join(dir, key)}`,
  );
  writeFileSync(file, at.startsWith(`${APT}/sources`) ? withKeys : content, 'latin1');
  return true;
}

function configuration(dir: string, tree: EnvTree): string {
  const architectures = [...packagesIn(tree).values()].map(({ architecture }) => architecture);
  const native = architectures.find((each) => each !== 'all' && each !== '');
  return [
    `Dir "${dir}/";`,
    'Dir::Etc "etc/apt";',
    `Dir::State "${dir}/";`,
    `Dir::State::status "${dir}/status";`,
    `Dir::State::lists "${dir}/lists";`,
    `Dir::Cache "${dir}/cache";`,
    'Dir::Log "";',
    'APT::Sandbox::User "root";',
    'Acquire::Retries "1";',
    'Acquire::Languages "none";',
    ...(native === undefined ? [] : [`APT::Architecture "${native}";`]),
    '',
  ].join('\n');
}

function filesByHash(directory: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isFile()) files.set(hashFile(file), file);
  }
  return files;
}
