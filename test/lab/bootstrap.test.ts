import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ErrorReport } from '../../src/protocol/errors.ts';
import type { RsNode } from '../../src/protocol/rs.ts';
import { installAgents } from '../support/lab/agent.ts';
import { downLab, type Host, type Lab, upLab } from '../support/lab/lab.ts';
import { waitFor } from '../support/lab/run.ts';
import { allWell, type Watch, watchFrom } from '../support/lab/watch.ts';
import { full } from '../support/sampling.ts';
import { installStandin, installStandinPackage } from '../support/standin/install.ts';

/** Clusters made and joined by `rlnet bootstrap` on real hosts with their agents. RS is the stand-in. */

const version = '8.2.0-25';
/** Planted to be looked for everywhere. */
const password = 'Planted-Pa55word-7f3a';
const credentials = '/root/credentials.yaml';

async function prepare(host: Host, settings: object = {}): Promise<void> {
  await Promise.all([installStandin(host, { settings }), installStandinPackage(host, version)]);
  await host.writeFile(credentials, `username: admin@example.com\npassword: ${password}\n`, 0o600);
  await untilRsSays(host, 'idle');
}

/** Right after a start nobody answers. */
async function untilRsSays(host: Host, word: string): Promise<void> {
  await waitFor(`RS of ${host.name} to say ${word}`, { timeoutMs: 60_000 }, async () => {
    const { stdout } = await host.exec(['rlnet', 'bootstrap', 'status']);
    return stdout.split('\n')[0]?.includes(word) === true ? true : undefined;
  });
}

interface Told {
  exitCode: number;
  stdout: string;
  error: ErrorReport | undefined;
}

async function bootstrap(host: Host, ...args: string[]): Promise<Told> {
  const { exitCode, stdout, stderr } = await host.exec(
    ['rlnet', 'bootstrap', ...args, '--credentials', credentials, '--json'],
    { timeoutMs: 120_000 },
  );
  const error =
    exitCode === 0 || stderr === '' ? undefined : (JSON.parse(stderr) as { error: ErrorReport }).error;
  return { exitCode, stdout, error };
}

/** The fingerprint that a host's RS shows now, as an operator would read it on that host. */
async function fingerprintOf(host: Host): Promise<string> {
  const { error } = await bootstrap(host, 'create', 'fingerprint.example');
  expect(error?.code).toBe('RS_CERTIFICATE_UNKNOWN');
  return /fingerprint ([0-9a-f]{64})/.exec(error?.message ?? '')?.[1] ?? '';
}

/** Of a node, whose RS wants a sign-in: what it shows to a host that would join it. */
async function memberFingerprint(host: Host, own: string, member: string): Promise<string> {
  const { error } = await bootstrap(host, 'join', member, '--without-mesh', '--fingerprint', own);
  expect(error).toMatchObject({ code: 'RS_CERTIFICATE_UNKNOWN', message: expect.stringContaining(member) });
  return /fingerprint ([0-9a-f]{64})/.exec(error?.message ?? '')?.[1] ?? '';
}

function nodeIn({ stdout }: Told): RsNode | undefined {
  const [last = '{}'] = stdout.trim().split('\n').slice(-1);
  return (JSON.parse(last) as { node?: RsNode }).node;
}

describe('a cluster over IPv6 on hosts with both families', () => {
  const labName = 'test-bootstrap';
  let lab: Lab;
  let hosts: [Host, Host, Host];
  let n4: Host;
  let watch: Watch;
  /** Findings that failed, at any time. */
  const cries = new Set<string>();
  let member = '';

  beforeAll(async () => {
    await downLab(labName);
    lab = await upLab({ name: labName, hosts: [{}, {}, {}, { internal: ['ipv4'], external: [] }] });
    hosts = [lab.host('n1'), lab.host('n2'), lab.host('n3')];
    n4 = lab.host('n4');
    // Long enough to be looked at.
    await Promise.all(lab.hosts.map((host) => prepare(host, { bootstrapStepMs: 1_000 })));
    await installAgents(hosts, { cluster: 'bootstrap', family: 'ipv6', now: Date.now() });
    watch = await watchFrom(hosts[0], ({ hosts: seen }) => {
      for (const { host, state } of seen)
        for (const { code, outcome, evidence } of state?.findings ?? [])
          if (outcome === 'fail') cries.add(`${host} ${code}: ${evidence}`);
    });
    await watch.until(
      'three linked agents',
      (view) => view.hosts.filter(({ link }) => link.status !== 'disconnected').length === 3,
    );
    cries.clear();
  }, 240_000);
  afterAll(async () => {
    await watch?.[Symbol.asyncDispose]();
    await downLab(labName);
  });

  const given = (host: Host): string[] => [
    '--addr',
    host.address('internal', 'ipv6'),
    ...host.addresses('external').flatMap((address) => ['--external', address]),
  ];

  test('is created with use_internal_ipv6, and two hosts join it over IPv6 without being told', async () => {
    const [n1, n2, n3] = hosts;
    const own = await fingerprintOf(n1);
    const args = ['create', 'cluster.example.com', '--use-internal-ipv6', ...given(n1), '--fingerprint', own];
    const begun = await n1.spawn(['rlnet', 'bootstrap', ...args, '--credentials', credentials, '--json']);
    // While it runs: what everybody on the host can read of its processes.
    let processes = '';
    const lines: string[] = [];
    for await (const line of begun.lines) {
      if (lines.length === 0)
        processes = await n1.execOk(['sh', '-c', 'cat /proc/[0-9]*/cmdline | tr "\\0" " "']);
      lines.push(line);
    }
    expect(processes).toContain('bootstrap create cluster.example.com');
    expect(processes).not.toContain(password);
    expect(nodeIn({ exitCode: 0, stdout: lines.join('\n'), error: undefined })).toMatchObject({
      uid: 1,
      address: n1.address('internal', 'ipv6'),
      externalAddresses: n1.addresses('external'),
      status: 'ok',
    });

    for (const [host, uid] of [
      [n2, 2],
      [n3, 3],
    ] as const) {
      const theirs = await fingerprintOf(host);
      member = await memberFingerprint(host, theirs, n1.address('internal', 'ipv6'));
      const pins = ['--fingerprint', theirs, '--fingerprint', member];
      const told = await bootstrap(host, 'join', n1.address('internal', 'ipv6'), ...given(host), ...pins);
      expect(told.error).toBeUndefined();
      expect(nodeIn(told)).toMatchObject({ uid, address: host.address('internal', 'ipv6'), status: 'ok' });
    }
    await watch.until('everything well', allWell);
    expect([...cries]).toEqual([]);
  });

  test('is not made again: the same command says that this host is a node', async () => {
    const again = await bootstrap(hosts[0], 'create', 'cluster.example.com');
    expect(again.exitCode).toBe(0);
    expect(JSON.parse(again.stdout)).toMatchObject({ begun: false, node: { uid: 1 } });
    const status = await hosts[1].execOk(['rlnet', 'bootstrap', 'status']);
    expect(status).toMatch(/^this host +is node 2 at \S+, OK$/m);
  });

  test('does not take a host that has no IPv6, nor one whose hosts file lacks ::1 localhost', async () => {
    const pins = ['--fingerprint', await fingerprintOf(n4)];
    await n4.execOk(['sed', '-i', '/^::1[[:space:]]/d', '/etc/hosts']);
    const here = await bootstrap(n4, 'create', 'other.example.com', ...pins);
    expect(here).toMatchObject({
      exitCode: 7,
      error: {
        code: 'NODE_BOOTSTRAP_ERROR',
        message: expect.stringMatching(/^RS was not asked\. HOSTS_LOCALHOST_IPV6_MISSING/),
        remedy: expect.stringContaining('rlnet check --fix'),
      },
    });
    // It cannot reach the members over IPv6 either, and says what it could not find out.
    const far = await bootstrap(n4, 'join', hosts[0].address('internal', 'ipv6'), '--without-mesh', ...pins);
    expect(far.error?.code).toBe('NODE_BOOTSTRAP_ERROR');
    const wrong = await bootstrap(n4, 'create', 'other.example.com', '--use-internal-ipv6', '--check');
    expect(wrong.exitCode).toBe(7);
    expect(wrong.stdout).toMatch(/"code": "FAMILY_MISSING",\s+"severity": "refuses",\s+"outcome": "fail"/);
    expect(await n4.execOk(['rlnet', 'bootstrap', 'status'])).toContain('RS says    idle');
  });

  test('leaves the password in no log, journal, process or file but the one that it was given in', async () => {
    const places = ['/var/log', '/run', '/var/lib/rlnet', '/etc/rlnet', '/etc/systemd', '/tmp', '/root'];
    for (const host of lab.hosts) {
      const find = `grep -rlaI -e '${password}' ${places.join(' ')} 2>/dev/null; true`;
      expect((await host.execOk(['sh', '-c', find])).trim().split('\n')).toEqual([credentials]);
      const journal = await host.execOk(['journalctl', '--no-pager', '--output=export']);
      expect(journal).not.toContain(password);
      expect(journal).not.toContain(Buffer.from(`admin@example.com:${password}`).toString('base64'));
    }
  });
});

describe.runIf(full)('a bootstrap that is interrupted', () => {
  const labName = 'test-bootstrap-cut';
  let lab: Lab;
  beforeAll(async () => {
    await downLab(labName);
    lab = await upLab({ name: labName, hosts: [{ external: [] }, { external: [] }] });
    await Promise.all(lab.hosts.map((host) => prepare(host, { bootstrapStepMs: 6_000 })));
  }, 240_000);
  afterAll(() => downLab(labName));

  test('by a restart of the host, a dead agent or a cut network is taken up, or said to have failed, by the same command', {
    timeout: 240_000,
  }, async () => {
    const [n1, n2] = [lab.host('n1'), lab.host('n2')];
    const create = ['create', 'cut.example.com', '--fingerprint', await fingerprintOf(n1)];
    const begun = await n1.spawn(['rlnet', 'bootstrap', ...create, '--credentials', credentials, '--json']);
    for await (const line of begun.lines) if (line.includes('initiated')) break;
    await begun.kill();
    // The command is gone, RS is not: the same one follows it.
    const followed = await bootstrap(n1, ...create);
    expect(nodeIn(followed)).toMatchObject({ uid: 1, status: 'ok' });

    const address = n1.address('internal', 'ipv4');
    const own = await fingerprintOf(n2);
    const pins = ['--fingerprint', own, '--fingerprint', await memberFingerprint(n2, own, address)];
    const join = ['join', address, '--without-mesh', ...pins];
    const joining = await n2.spawn(['rlnet', 'bootstrap', ...join, '--credentials', credentials, '--json']);
    for await (const line of joining.lines) if (line.includes('initiated')) break;
    await n2.reboot();
    await untilRsSays(n2, 'idle');
    expect(await n2.execOk(['rlnet', 'bootstrap', 'status'])).toContain('is no node');

    const cut = await n2.spawn(['rlnet', 'bootstrap', ...join, '--credentials', credentials, '--json']);
    for await (const line of cut.lines) if (line.includes('initiated')) break;
    await n2.cut('internal');
    await untilRsSays(n2, 'connect_error');
    const blocked = await bootstrap(n2, ...join);
    expect(blocked.error?.code).toBe('NODE_BOOTSTRAP_ERROR');
    await n2.heal('internal');
    expect(nodeIn(await bootstrap(n2, ...join))).toMatchObject({ uid: 2, status: 'ok' });
  });
});

describe.runIf(full)('other hosts', () => {
  const labName = 'test-bootstrap-hosts';
  afterAll(() => downLab(labName));

  test.for([
    ['with IPv6 alone and one address for both uses', { internal: ['ipv6'], external: [] }, 'ipv6'],
    ['with IPv4 alone and one address for both uses', { internal: ['ipv4'], external: [] }, 'ipv4'],
    ['with both families and nothing said', { external: [] }, 'ipv4'],
  ] as const)('%s become a cluster of their own accord', async ([, spec, family]) => {
    await downLab(labName);
    await using lab = await upLab({ name: labName, hosts: [spec, spec] });
    await Promise.all(lab.hosts.map((host) => prepare(host)));
    const [n1, n2] = [lab.host('n1'), lab.host('n2')];
    const created = await bootstrap(
      n1,
      'create',
      'plain.example.com',
      '--fingerprint',
      await fingerprintOf(n1),
    );
    const address = n1.address('internal', family);
    expect(nodeIn(created)).toMatchObject({ uid: 1, address, externalAddresses: [address] });
    const own = await fingerprintOf(n2);
    const pins = ['--fingerprint', own, '--fingerprint', await memberFingerprint(n2, own, address)];
    const joined = await bootstrap(n2, 'join', address, '--without-mesh', ...pins);
    expect(nodeIn(joined)).toMatchObject({ uid: 2, address: n2.address('internal', family) });
  });
});
