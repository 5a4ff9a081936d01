import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { importTemplate } from '../../src/manager/templates/import.ts';
import { scratchDir, scratchFile } from '../support/machine/scratch-dir.ts';
import { contents, objectFiles, scratchStore } from '../support/trees/scratch-store.ts';
import { archive, dir, file, hardLink, symlink } from '../support/trees/tar-members.ts';

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const TAG = 'org.opencontainers.image.ref.name';

/** The digest of a layer's bytes, unpacked. */
const diffId = (layer: Buffer): string =>
  `sha256:${sha256(layer.readUInt16BE() === 0x1f8b ? gunzipSync(layer) : layer)}`;

/** The files of an OCI image layout, by name. */
class Layout {
  readonly files = new Map<string, Buffer>([['oci-layout', json({ imageLayoutVersion: '1.0.0' })]]);

  blob(bytes: Buffer): { digest: string; size: number } {
    this.files.set(`blobs/sha256/${sha256(bytes)}`, bytes);
    return { digest: `sha256:${sha256(bytes)}`, size: bytes.length };
  }

  /** The descriptor of an image. @param config what its configuration says otherwise */
  image(layers: readonly Buffer[], config: object = {}): { digest: string; size: number } {
    const rootfs = { type: 'layers', diff_ids: layers.map(diffId) };
    const configuration = this.blob(json({ os: 'linux', rootfs, ...config }));
    const manifest = {
      schemaVersion: 2,
      config: configuration,
      layers: layers.map((l) => this.blob(l)),
    };
    return this.blob(json(manifest));
  }

  index(manifests: readonly object[]): this {
    this.files.set('index.json', json({ schemaVersion: 2, manifests }));
    return this;
  }

  /** As a directory. */
  directory(): string {
    const dir = scratchDir();
    for (const [name, bytes] of this.files) {
      mkdirSync(path.dirname(path.join(dir, name)), { recursive: true });
      writeFileSync(path.join(dir, name), bytes);
    }
    return dir;
  }

  /** As an archive, as `skopeo copy ... oci-archive:` has it. */
  archive(): Buffer {
    const blobs = [dir('blobs/'), dir('blobs/sha256/')];
    return archive(...blobs, ...[...this.files].map(([name, bytes]) => file(name, bytes)));
  }
}

function tagged(images: Record<string, Buffer[]>): Layout {
  const layout = new Layout();
  const manifests = Object.entries(images).map(([tag, layers]) => ({
    ...layout.image(layers),
    annotations: { [TAG]: tag },
  }));
  return layout.index(manifests);
}

/** An OCI image layout with one image per tag. */
const imageLayout = (images: Record<string, Buffer[]>): string => tagged(images).directory();

const BASE = archive(
  dir('etc/'),
  file('etc/kept', 'k'),
  file('etc/removed', 'r'),
  dir('opaque/'),
  file('opaque/old', 'o'),
  dir('gone/'),
  file('gone/below', 'b'),
  dir('usr/lib/'),
  symlink('lib', '/usr/lib'),
);
const UPPER = archive(
  file('etc/.wh.removed', ''),
  file('.wh.gone', ''),
  dir('opaque/'),
  file('opaque/new', 'n'),
  file('opaque/.wh..wh..opq', ''),
  file('lib/through-symlink', 's'),
  file('etc/added', 'a'),
  hardLink('etc/link', 'etc/kept'),
);

it('layers are applied in order, and whiteouts obeyed', async () => {
  const store = await scratchStore();
  const layout = imageLayout({ latest: [BASE, gzipSync(UPPER)] });
  await importTemplate(store, 'os', `oci:${layout}`);
  expect([...contents(store, 'os').keys()]).toEqual([
    '',
    'etc',
    'etc/added',
    'etc/kept',
    'etc/link',
    'lib',
    'opaque',
    'opaque/new',
    'usr',
    'usr/lib',
    'usr/lib/through-symlink',
  ]);
  expect(contents(store, 'os').get('etc/kept')?.nlink).toBe(2);
});

it('a tag says which image, and is needed where there are several', async () => {
  const store = await scratchStore();
  const layout = imageLayout({ '1': [BASE], '2': [BASE, UPPER] });
  await importTemplate(store, 'one', `oci:${layout}:1`);
  await importTemplate(store, 'two', `oci:${layout}:2`);
  expect(contents(store, 'one').has('opaque/old')).toBe(true);
  expect(contents(store, 'two').has('opaque/old')).toBe(false);
  await expect(importTemplate(store, 'x', `oci:${layout}`)).rejects.toThrow('has 2 images');
  await expect(importTemplate(store, 'x', `oci:${layout}:3`)).rejects.toMatchObject({
    code: 'notFound',
    hint: expect.stringContaining('1, 2') as string,
  });
});

it('damaged images are refused, the store as before', async () => {
  const store = await scratchStore();
  const layout = imageLayout({ latest: [BASE, UPPER] });
  const hex = sha256(UPPER);
  truncateSync(path.join(layout, 'blobs/sha256', hex), 2048);
  await expect(importTemplate(store, 'x', `oci:${layout}`)).rejects.toThrow('damaged or truncated');
  rmSync(path.join(layout, 'blobs/sha256', hex));
  await expect(importTemplate(store, 'x', `oci:${layout}`)).rejects.toThrow("can't be read");
  const outside = imageLayout({ latest: [archive(file('../evil', 'x'))] });
  await expect(importTemplate(store, 'x', `oci:${outside}`)).rejects.toThrow('".."');
  await expect(importTemplate(store, 'x', 'oci:/no/such')).rejects.toThrow('not an OCI image');
  expect(store.templates()).toEqual([]);
  expect(objectFiles(store)).toEqual([]);
});

it('a layer without an end, in the middle of its last block, as umoci writes it', async () => {
  const store = await scratchStore();
  // With the root itself under its absolute name.
  const whole = archive(dir('/', { mode: 0o750 }), file('/etc/inserted', 'inserted'));
  const cut = whole.subarray(0, 2 * 512 + 'inserted'.length);
  await importTemplate(store, 'os', `oci:${imageLayout({ latest: [BASE, cut] })}`);
  expect(contents(store, 'os').get('etc/inserted')?.size).toBe(8);
  expect(contents(store, 'os').get('')?.mode).toBe(0o40750);
  // What ends inside a file is no layer, whatever its digest says.
  const short = imageLayout({ latest: [BASE, whole.subarray(0, 2 * 512 + 2)] });
  await expect(importTemplate(store, 'x', `oci:${short}`)).rejects.toThrow('truncated');
});

describe('an archive of an image', () => {
  const LINK = 'b'.repeat(64);
  /** As `docker save` wrote it until it wrote OCI image layouts. */
  function dockerSave(layers: readonly Buffer[], rootfs: object, config = ''): Buffer {
    const text = json({ os: 'linux', rootfs });
    const name = config === '' ? `${sha256(text)}.json` : config;
    const dirs = layers.map((_, i) => `${i}`.repeat(64));
    const members = layers.flatMap((layer, i) => [
      dir(`${dirs[i]}/`),
      file(`${dirs[i]}/VERSION`, '1.0'),
      file(`${dirs[i]}/layer.tar`, layer),
    ]);
    const again = symlink(`${LINK}/layer.tar`, `../${dirs.at(-1)}/layer.tar`);
    const names = [...dirs.slice(0, -1), LINK].map((each) => `${each}/layer.tar`);
    const manifest = [{ Config: name, RepoTags: ['tools:1.0', 'tools:latest'], Layers: names }];
    return archive(...members, again, file(name, text), file('manifest.json', json(manifest)));
  }
  const rootfs = { type: 'layers', diff_ids: [diffId(BASE), diffId(UPPER)] };

  it('is recognised by its content: an OCI archive, what docker save wrote, packed or not', async () => {
    const store = await scratchStore();
    await importTemplate(store, 'dir', `oci:${imageLayout({ latest: [BASE, UPPER] })}`);
    const expected = contents(store, 'dir');
    expect(expected.has('usr/lib/through-symlink')).toBe(true);
    const old = dockerSave([BASE, UPPER], rootfs);
    const both = tagged({ latest: [BASE, gzipSync(UPPER)] });
    both.files.set('manifest.json', json([{ Config: 'of older tools', Layers: [] }]));
    const oci = both.archive();
    for (const [i, bytes] of [old, oci, gzipSync(old), gzipSync(oci)].entries()) {
      await importTemplate(store, `os${i}`, scratchFile('image.tar', bytes));
      expect([...contents(store, `os${i}`)]).toEqual([...expected]);
    }
    const at = scratchFile('image.tar', old);
    await importTemplate(store, 'tag', `oci:${at}:latest`);
    await importTemplate(store, 'name', `oci:${at}:tools:1.0`);
    await expect(importTemplate(store, 'x', `oci:${at}:2.0`)).rejects.toMatchObject({
      code: 'notFound',
      hint: expect.stringContaining('tools:1.0, tools:latest') as string,
    });
    expect(readdirSync(store.objects.unfinishedDir)).toEqual([]);
  });

  it('a root file system that begins like one stays one', async () => {
    const store = await scratchStore();
    const tar = archive(dir('blobs/'), file('blobs/own', 'x'), dir('etc/'), file('etc/own', 'y'));
    for (const bytes of [tar, gzipSync(tar)]) {
      await importTemplate(store, 'os', scratchFile('root.tar', bytes));
      expect([...contents(store, 'os').keys()]).toEqual([
        '',
        'blobs',
        'blobs/own',
        'etc',
        'etc/own',
      ]);
    }
    await expect(importTemplate(store, 'x', `oci:${scratchFile('root.tar', tar)}`)).rejects.toThrow(
      'is no archive of an image',
    );
    expect(readdirSync(store.objects.unfinishedDir)).toEqual([]);
  });

  it('with a damaged layer or configuration is refused, the store as before', async () => {
    const store = await scratchStore();
    const other = { type: 'layers', diff_ids: [diffId(BASE), diffId(BASE)] };
    const refused = (bytes: Buffer) =>
      expect(importTemplate(store, 'x', scratchFile('image.tar', bytes))).rejects;
    await refused(dockerSave([BASE, UPPER], other)).toThrow('layer 2 of 2 is damaged');
    await refused(dockerSave([BASE, UPPER], rootfs, `${'0'.repeat(64)}.json`)).toThrow(
      `sha256:${'0'.repeat(64)} is damaged`,
    );
    await refused(dockerSave([BASE], rootfs)).toThrow('1 layers, and its configuration lists 2');
    await refused(gzipSync(dockerSave([BASE, UPPER], rootfs)).subarray(0, 400)).toThrow(
      'truncated',
    );
    expect(store.templates()).toEqual([]);
    expect(objectFiles(store)).toEqual([]);
  });
});

describe('an image for several machines', () => {
  const here = { x64: 'amd64', ia32: '386' }[process.arch as string] ?? process.arch;
  const image = (layout: Layout, architecture: string, content: string, os = 'linux') => ({
    ...layout.image([archive(file(content, 'x'))]),
    platform: { os, architecture, ...(architecture === 'arm' ? { variant: 'v7' } : {}) },
  });

  it("is this machine's, in an index below or beside the others", async () => {
    const store = await scratchStore();
    const layout = new Layout();
    const all = [
      image(layout, 'arm', 'arm'),
      image(layout, here, 'mine'),
      image(layout, here, 'w', 'windows'),
    ];
    const nested = layout.blob(json({ schemaVersion: 2, manifests: all }));
    await importTemplate(store, 'below', `oci:${layout.index([nested]).directory()}`);
    expect([...contents(store, 'below').keys()]).toEqual(['', 'mine']);
    await importTemplate(store, 'beside', `oci:${layout.index(all).directory()}`);
    expect([...contents(store, 'beside').keys()]).toEqual(['', 'mine']);
  });

  it('that has none for this one says what there is', async () => {
    const store = await scratchStore();
    const layout = new Layout();
    const all = [
      image(layout, 'arm', 'a'),
      image(layout, 's390x', 'b'),
      image(layout, 'unknown', 'c', 'unknown'),
    ];
    const nested = layout.blob(json({ schemaVersion: 2, manifests: all }));
    for (const manifests of [[nested], all]) {
      const source = `oci:${layout.index(manifests).directory()}`;
      await expect(importTemplate(store, 'x', source)).rejects.toMatchObject({
        code: 'notFound',
        message: expect.stringContaining(`no image for linux/${here}`) as string,
        hint: expect.stringContaining('there are linux/arm/v7, linux/s390x.') as string,
      });
    }
    expect(objectFiles(store)).toEqual([]);
  });
});

it('bytes that are not those of a digest are refused wherever they are, the store as before', async () => {
  const store = await scratchStore();
  const refused = (layout: Layout) =>
    expect(importTemplate(store, 'x', `oci:${layout.directory()}`)).rejects;
  const wrong = new Layout();
  const diff_ids = [diffId(BASE), diffId(BASE)];
  await refused(wrong.index([wrong.image([BASE, UPPER], { rootfs: { diff_ids } })])).toThrow(
    `layer 2 of 2 is damaged: unpacked, it is to be ${diffId(BASE)}, and is ${diffId(UPPER)}`,
  );
  const few = new Layout();
  await refused(
    few.index([few.image([BASE, UPPER], { rootfs: { diff_ids: [diffId(BASE)] } })]),
  ).toThrow('2 layers, and its configuration lists 1');
  // Each blob in turn, one byte of it another one.
  const whole = tagged({ latest: [BASE, gzipSync(UPPER)] });
  for (const name of [...whole.files.keys()].filter((each) => each.startsWith('blobs/'))) {
    const damaged = new Layout();
    for (const [each, bytes] of whole.files) damaged.files.set(each, Buffer.from(bytes));
    const bytes = damaged.files.get(name)!;
    bytes[bytes.length - 1]! ^= 1;
    await refused(damaged).toThrow(`blob sha256:${path.basename(name)} is damaged or truncated`);
  }
  const sized = new Layout();
  await refused(sized.index([{ ...sized.image([BASE]), size: 1 }])).toThrow('has another size');
  expect(store.templates()).toEqual([]);
  expect(objectFiles(store)).toEqual([]);
});
