import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type FileSystemType, MAKE, run, unmount } from './power-disk.ts';
import { loseSome, readLog } from './write-log.ts';

const SERVER = new URL('./logging-server.ts', import.meta.url).pathname;
const DISK = '320M';

/** A disk whose writes and flushes are logged in their order, so that it can be had as any loss of power may leave it. */
export class LoggedDisk {
  /** Beside the disk, for what no power cut touches. */
  readonly beside: string;
  /** Where it is mounted. */
  readonly place: string;
  private readonly type: FileSystemType;
  private readonly log: string;
  /** What the disk held when the log began. */
  private readonly before: string;
  private readonly served: string;
  private server: ChildProcess | null = null;
  private isMounted = false;

  private constructor(type: FileSystemType) {
    this.type = type;
    this.beside = fs.mkdtempSync(path.join(tmpdir(), 'byref-logged-'));
    this.place = path.join(this.beside, 'disk');
    this.served = path.join(this.beside, 'served');
    this.before = path.join(this.beside, 'before');
    this.log = path.join(this.beside, 'log');
    for (const dir of [this.place, this.served]) fs.mkdirSync(dir);
  }

  static async create(type: FileSystemType): Promise<LoggedDisk> {
    const disk = new LoggedDisk(type);
    run('truncate', '-s', DISK, disk.before);
    run(...MAKE[type], disk.before);
    const image = path.join(disk.beside, 'image');
    run('cp', '--sparse=always', disk.before, image);
    const words = ['--import', 'tsx', SERVER, disk.served, image, disk.log];
    const server = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
    disk.server = server;
    await once(server.stdout, 'data');
    run('mount', '-o', 'loop', path.join(disk.served, 'disk'), disk.place);
    disk.isMounted = true;
    return disk;
  }

  /** How much has been logged, in bytes: a place in the disk's history. */
  get position(): number {
    return fs.statSync(this.log).size;
  }

  /** Ends the disk's life; nothing on it is in use. loseSome() goes on from its log. */
  async end(): Promise<void> {
    if (this.isMounted) await unmount(this.place);
    this.isMounted = false;
    const { server } = this;
    this.server = null;
    if (server === null) return;
    const ended = once(server, 'exit');
    await unmount(this.served);
    await ended;
  }

  /** Mounts the disk, where it was, as it may be when the power went at a place of its history. */
  cutAt(position: number, random: (below: number) => number): void {
    const image = path.join(this.beside, 'cut');
    fs.rmSync(image, { force: true });
    run('cp', '--sparse=always', this.before, image);
    loseSome(image, readLog(this.log, position), random);
    run('mount', '-o', this.type === 'xfs' ? 'loop,nouuid' : 'loop', image, this.place);
    this.isMounted = true;
  }

  async dispose(): Promise<void> {
    await this.end();
    fs.rmSync(this.beside, { recursive: true });
  }
}
