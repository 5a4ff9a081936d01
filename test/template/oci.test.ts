import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { importTemplate } from '../../src/template/import.ts';
import { archive, dir, file, hardLink, symlink } from './members.ts';
import { contents, objectFiles, scratchDir, scratchStore } from './support.ts';

/** An OCI image layout with one image per tag. */
function imageLayout(images: Record<string, Buffer[]>): string {
  const layout = scratchDir();
  const blobs = path.join(layout, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const blob = (bytes: Buffer) => {
    const hex = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(path.join(blobs, hex), bytes);
    return { digest: `sha256:${hex}`, size: bytes.length };
  };
  const manifests = Object.entries(images).map(([tag, layers]) => ({
    ...blob(Buffer.from(JSON.stringify({ schemaVersion: 2, layers: layers.map(blob) }))),
    annotations: { 'org.opencontainers.image.ref.name': tag },
  }));
  writeFileSync(path.join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(path.join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
  return layout;
}

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
  const hex = createHash('sha256').update(UPPER).digest('hex');
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
