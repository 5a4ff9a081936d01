import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';

/** Serves a repository's files on the loopback interface, and fails as it is told to. */
export class RepoServer {
  readonly url: string;
  /** Path of each request so far, as `/pool/main/greeter_1.0_all.deb`. */
  readonly requests: string[] = [];
  private readonly server: ReturnType<typeof createServer>;
  private readonly missing = new Set<string>();
  /** Bytes of pool files that it still sends. */
  private budget = Number.POSITIVE_INFINITY;

  private constructor(server: ReturnType<typeof createServer>) {
    this.server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(root: string): Promise<RepoServer> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const served = new RepoServer(server);
    server.on('request', (request, response) => void served.answer(root, request, response));
    return served;
  }

  /**
   * From now on the repository goes down half-way: when it has sent this many bytes of pool files in
   * all, it breaks that connection, and every later one that asks for a pool file. Indices are served
   * as before. With 0 no pool file is.
   */
  breakAfter(bytes: number): void {
    this.budget = bytes;
  }

  /** From now on a path (`/dists/stable/InRelease`) is 404. */
  lose(pathname: string): void {
    this.missing.add(pathname);
  }

  /** All works again. */
  heal(): void {
    this.budget = Number.POSITIVE_INFINITY;
    this.missing.clear();
  }

  async close(): Promise<void> {
    if (!this.server.listening) return;
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }

  private async answer(root: string, request: IncomingMessage, response: ServerResponse) {
    // URL resolves "..": nothing outside the root can be named.
    const pathname = decodeURIComponent(new URL(request.url ?? '/', this.url).pathname);
    this.requests.push(pathname);
    const content = this.missing.has(pathname) ? null : await contentOf(path.join(root, pathname));
    if (content === null) response.writeHead(404).end();
    else this.send(pathname, content, response);
  }

  private send(pathname: string, content: Buffer, response: ServerResponse): void {
    response.setHeader('Content-Length', content.length);
    if (!pathname.startsWith('/pool/') || content.length <= this.budget) {
      if (pathname.startsWith('/pool/')) this.budget -= content.length;
      response.end(content);
      return;
    }
    const part = content.subarray(0, this.budget);
    this.budget = 0;
    if (part.length === 0) response.destroy();
    else response.write(part, () => response.destroy());
  }
}

async function contentOf(file: string): Promise<Buffer | null> {
  try {
    return await readFile(file);
  } catch {
    return null;
  }
}
