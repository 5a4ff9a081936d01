import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Name, type NodeId, ROOT_INO } from '../../../src/base/ids.ts';
import { S_IFREG } from '../../../src/base/mode.ts';
import type { FileSystem } from '../../../src/driver/core/api.ts';
import type { FdBudget } from '../../../src/driver/core/fd-cache.ts';
import { createFileSystem } from '../../../src/driver/core/filesystem.ts';
import type { AccessRules } from '../../../src/driver/core/ports.ts';
import type { EnvDelta } from '../../../src/driver/delta/env-delta.ts';
import { type OpenDeltaOptions, openDelta } from '../../../src/driver/delta/open-delta.ts';
import { importTemplate } from '../../../src/manager/templates/import.ts';
import { fileCalls } from '../../../src/native/file-calls.ts';
import { initRoot, openStore, type Store } from '../../../src/store/store.ts';

export const ROOT = ROOT_INO as number as NodeId;

/** An env of templates that are given as archives, served by this process to the test itself. */
export class BareEnv {
  readonly fs: FileSystem;
  readonly delta: EnvDelta;
  private readonly scratch: string;
  private readonly store: Store;

  private constructor(scratch: string, store: Store, fs: FileSystem, delta: EnvDelta) {
    this.scratch = scratch;
    this.store = store;
    this.fs = fs;
    this.delta = delta;
  }

  /** @param archives tar files; the first is the OS template's, others are apps' */
  static async create(
    archives: readonly Buffer[],
    options: Partial<OpenDeltaOptions & { accessRules: AccessRules; fdBudget: FdBudget }> = {},
  ): Promise<BareEnv> {
    const scratch = mkdtempSync(path.join(tmpdir(), 'byref-bare-'));
    const root = path.join(scratch, 'root');
    await initRoot(root);
    const store = await openStore(root, { write: true });
    const source = path.join(scratch, 'source.tar');
    const stack = [];
    for (const [i, archive] of archives.entries()) {
      writeFileSync(source, archive);
      const kind = i === 0 ? 'os' : 'app';
      await importTemplate(store, `template-${i}`, source, { kind });
      stack.push({ templateId: store.template(`template-${i}`)!.id, version: 1 });
    }
    const directory = path.join(scratch, 'env');
    mkdirSync(directory);
    const openObject = (id: Parameters<typeof store.objects.open>[0]) => store.objects.open(id);
    const delta = await openDelta(directory, { openObject, ...options });
    const fs = createFileSystem({
      lower: store.lowerTree(stack),
      delta,
      blobs: delta.files,
      files: fileCalls,
      capabilities: {
        has: () => true,
        inGroup: () => true,
        makesName: () => false,
        revalidates: () => false,
      },
      passthrough: null,
      ...(options.fdBudget && { fdBudget: options.fdBudget }),
      ...(options.accessRules && { accessRules: options.accessRules }),
      caches: {
        knowsWalkers: true,
        expireAttributes: () => Promise.resolve(),
        drop: () => Promise.resolve(),
        forget: () => Promise.resolve(),
      },
    });
    return new BareEnv(scratch, store, fs, delta);
  }

  /** The node of a name in the root; it stays referenced. */
  find(name: string): NodeId {
    const found = this.fs.lookup(ROOT, name as Name);
    if (typeof found === 'number') throw new Error(`${name}: errno ${-found}`);
    return found.node;
  }

  /** Makes an empty file in the root. */
  make(name: string): NodeId {
    const made = this.fs.mknod(ROOT, name as Name, S_IFREG | 0o644, 0, 0);
    if (typeof made === 'number') throw new Error(`${name}: errno ${-made}`);
    return made.node;
  }

  async end(): Promise<void> {
    this.fs.destroy();
    await this.delta.close();
    await this.store.close();
    rmSync(this.scratch, { recursive: true });
  }
}
