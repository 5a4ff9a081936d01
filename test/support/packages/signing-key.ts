import { chmodSync, mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { processesNaming } from '../machine/leftovers.ts';
import { output } from '../machine/program.ts';

const OWNER = 'byref tests <tests@byref.invalid>';
const AGENT_GONE_WITHIN_MS = 10_000;

/** A throw-away GPG key in a home of its own. No process of it outlives a call. */
export class SigningKey {
  private readonly home: string;

  private constructor(home: string) {
    this.home = home;
  }

  /** @param home a directory to make; @param time seconds since 1970 that the key is made at */
  static async create(home: string, time: number): Promise<SigningKey> {
    mkdirSync(home, { recursive: true });
    chmodSync(home, 0o700);
    const key = new SigningKey(home);
    await key.gpg(time, [
      ...['--passphrase', '', '--quick-generate-key', OWNER, 'ed25519', 'sign', 'never'],
    ]);
    return key;
  }

  /** Writes the public key as apt reads it. */
  async exportTo(keyring: string, time: number): Promise<void> {
    await this.gpg(time, ['--output', keyring, '--export']);
    chmodSync(keyring, 0o644);
  }

  /** A text with its signature, as in an InRelease file. */
  clearsign(text: string, time: number): Promise<string> {
    return this.gpg(time, ['--digest-algo', 'SHA512', '--output', '-', '--clearsign'], text);
  }

  private async gpg(time: number, args: readonly string[], input = ''): Promise<string> {
    const options = ['--homedir', this.home, '--batch', '--yes', '--pinentry-mode', 'loopback'];
    try {
      // The "!" stops that clock.
      return await output('gpg', [...options, '--faked-system-time', `${time}!`, ...args], {
        input,
      });
    } finally {
      await this.endAgent();
    }
  }

  /** gpg leaves its agent behind, for a next call. */
  private async endAgent(): Promise<void> {
    await output('gpgconf', ['--homedir', this.home, '--kill', 'all']);
    const deadline = Date.now() + AGENT_GONE_WITHIN_MS;
    while (processesNaming(this.home).length > 0) {
      if (Date.now() > deadline)
        throw new Error(`still running: ${processesNaming(this.home).join()}`);
      await sleep(10);
    }
  }
}
