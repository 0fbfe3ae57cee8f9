import { expect } from 'vitest';
import type { ErrorReport } from '../../../src/protocol/errors.ts';
import type { RsNode } from '../../../src/protocol/rs.ts';
import { installStandin, installStandinPackage } from '../standin/install.ts';
import type { SettingsInput } from '../standin/settings.ts';
import type { Host } from './lab.ts';
import { waitFor } from './run.ts';

/** `rlnet bootstrap` on hosts of the lab, as an operator gives it. */

export const version = '8.2.0-25';
export const username = 'admin@example.com';
/** Planted to be looked for everywhere. */
export const password = 'Planted-Pa55word-7f3a';
export const credentials = '/root/credentials.yaml';

/** Puts RS, which is the stand-in, on a host, and the credentials. */
export async function prepare(host: Host, settings: SettingsInput = {}, secret = password): Promise<void> {
  await Promise.all([installStandin(host, { settings }), installStandinPackage(host, version)]);
  await host.writeFile(credentials, credentialsFile(username, secret), 0o600);
  await untilRsSays(host, 'idle');
}

export function credentialsFile(user: string, secret: string): string {
  return `username: ${user}\npassword: ${secret}\n`;
}

/** Right after a start nobody answers. */
export async function untilRsSays(host: Host, word: string): Promise<void> {
  await waitFor(`RS of ${host.name} to say ${word}`, { timeoutMs: 60_000 }, async () => {
    const { stdout } = await host.exec(['rlnet', 'bootstrap', 'status']);
    return stdout.split('\n')[0]?.includes(word) === true ? true : undefined;
  });
}

export interface Told {
  exitCode: number;
  stdout: string;
  error: ErrorReport | undefined;
}

export async function bootstrap(host: Host, ...args: string[]): Promise<Told> {
  const { exitCode, stdout, stderr } = await host.exec(
    ['rlnet', 'bootstrap', ...args, '--credentials', credentials, '--json'],
    { timeoutMs: 120_000 },
  );
  const error =
    exitCode === 0 || stderr === '' ? undefined : (JSON.parse(stderr) as { error: ErrorReport }).error;
  return { exitCode, stdout, error };
}

/** The fingerprint that a host's RS shows now, as an operator would read it on that host. */
export async function fingerprintOf(host: Host): Promise<string> {
  const { error } = await bootstrap(host, 'create', 'fingerprint.example');
  expect(error?.code).toBe('RS_CERTIFICATE_UNKNOWN');
  return /fingerprint ([0-9a-f]{64})/.exec(error?.message ?? '')?.[1] ?? '';
}

/** Of a node, whose RS wants a sign-in: what it shows to a host that would join it. */
export async function memberFingerprint(host: Host, own: string, member: string): Promise<string> {
  const { error } = await bootstrap(host, 'join', member, '--without-mesh', '--fingerprint', own);
  expect(error).toMatchObject({ code: 'RS_CERTIFICATE_UNKNOWN', message: expect.stringContaining(member) });
  return /fingerprint ([0-9a-f]{64})/.exec(error?.message ?? '')?.[1] ?? '';
}

export function nodeIn({ stdout }: Told): RsNode | undefined {
  const [last = '{}'] = stdout.trim().split('\n').slice(-1);
  return (JSON.parse(last) as { node?: RsNode }).node;
}
