import { describe, expect, test } from 'vitest';
import { parseListeners, readListeners } from '../../../src/host/listeners.ts';
import type { ExecResult } from '../../../src/host/ports/exec.ts';
import { installedRsVersion } from '../../../src/host/rs-package.ts';
import { normalFingerprint } from '../../../src/host/rs-rest.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import { knowsInternalIpv6, mistakesForLoopback } from '../../../src/protocol/rs-builds.ts';

/** As ss of iproute2 6.1 printed it. */
const printed = `udp   UNCONN 0      0         127.0.0.53%lo:53         0.0.0.0:*    users:(("systemd-resolve",pid=101,fd=13))
udp   UNCONN 0      0                     *:5353             *:*
tcp   LISTEN 0      511                   *:9443             *:*    users:(("node",pid=202,fd=18),("node",pid=203,fd=18))
tcp   LISTEN 0      4096               [::]:22            [::]:*    users:(("sshd",pid=303,fd=4))
Netid State
`;

describe('the ports that are taken', () => {
  test('are read with the first program that has each', () => {
    expect(parseListeners(printed)).toEqual([
      { protocol: 'udp', port: 53, process: 'systemd-resolve', pid: 101 },
      { protocol: 'udp', port: 5353 },
      { protocol: 'tcp', port: 9443, process: 'node', pid: 202 },
      { protocol: 'tcp', port: 22, process: 'sshd', pid: 303 },
    ]);
  });

  test('are of RS where the process is in the control group of its unit', async () => {
    const groups: Record<string, string> = {
      '/proc/202/cgroup': '0::/system.slice/rlec_supervisor.service\n',
      '/proc/303/cgroup': '0::/system.slice/not-rlec_supervisor.service.slice\n',
    };
    const exec = { run: async (): Promise<ExecResult> => ({ exitCode: 0, stdout: printed, stderr: '' }) };
    const files = { readIfExists: async (path: string) => groups[path] };
    const listeners = await readListeners(exec, files, 'rlec_supervisor.service');
    expect(listeners.map(({ port, ofRs }) => [port, ofRs])).toEqual([
      [53, false],
      [5353, false],
      [9443, true],
      [22, false],
    ]);
    expect((await readListeners(exec, files, undefined)).some(({ ofRs }) => ofRs)).toBe(false);
  });
});

describe('the version of RS that is installed', () => {
  const said = (answers: Record<string, ExecResult | undefined>) => ({
    run: async (file: string): Promise<ExecResult> => {
      const answer = answers[file];
      if (answer !== undefined) return answer;
      throw new RlnetError('COMMAND_NOT_FOUND', `${file} is not there.`, 'Install it.');
    },
  });
  const answer = (stdout: string, exitCode = 0): ExecResult => ({ exitCode, stdout, stderr: '' });

  test.for([
    ['dpkg', { 'dpkg-query': answer('redislabs\t7.22.2-170~jammy\n') }, '7.22.2-170'],
    ['rpm', { rpm: answer('8.2.0-25.rhel9') }, '8.2.0-25'],
    [
      'rpm where dpkg has no such package',
      { 'dpkg-query': answer('', 1), rpm: answer('7.4.2-54.el8') },
      '7.4.2-54',
    ],
  ] as const)('is told by %s', async ([, answers, version]) => {
    expect(await installedRsVersion(said(answers))).toBe(version);
  });

  test('is not known where neither packager has it', async () => {
    await expect(installedRsVersion(said({ rpm: answer('', 1) }))).rejects.toMatchObject({
      code: 'OUTPUT_UNREADABLE',
    });
  });
});

test.for([
  ['7.4.2-54', true, true],
  ['7.4.0-100', false, true],
  ['7.22.2-169', true, true],
  ['7.22.2-170', true, false],
  ['8.0.20-19', true, true],
  ['8.2.0-24', true, true],
  ['8.2.0-25', true, false],
  ['10.0.0-1', true, false],
  ['of no kind', false, true],
] as const)(
  'RS %s: internal IPv6 %j, takes ::1 in an address for loopback %j',
  ([version, ipv6, mistakes]) => {
    expect(knowsInternalIpv6(version)).toBe(ipv6);
    expect(mistakesForLoopback(version)).toBe(mistakes);
  },
);

test('a fingerprint is the same with and without colons, in either case', () => {
  const plain = 'ab'.repeat(32);
  const colons = Array.from({ length: 32 }, () => 'AB').join(':');
  for (const text of [plain, colons, `SHA256:${colons}`, `sha256=${plain}`])
    expect(normalFingerprint(text)).toBe(plain);
});
