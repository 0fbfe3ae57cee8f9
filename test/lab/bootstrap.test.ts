import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BootstrapPlan } from '../../src/protocol/bootstrap/plan.ts';
import { installAgents } from '../support/lab/agent.ts';
import {
  bootstrap,
  credentials,
  fingerprintOf,
  memberFingerprint,
  nodeIn,
  password,
  prepare,
  untilRsSays,
} from '../support/lab/bootstrap.ts';
import { downLab, type Host, type Lab, type Running, upLab } from '../support/lab/lab.ts';
import { allWell, type Watch, watchFrom } from '../support/lab/watch.ts';
import { full } from '../support/sampling.ts';

/** Clusters made and joined by `rlnet bootstrap` on real hosts with their agents. RS is the stand-in. */

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
});

describe.runIf(full)('a bootstrap that is interrupted', () => {
  const labName = 'test-bootstrap-cut';
  let lab: Lab;
  let n1: Host;
  let n2: Host;
  let create: string[];
  let join: string[];
  beforeAll(async () => {
    await downLab(labName);
    lab = await upLab({ name: labName, hosts: [{ external: [] }, { external: [] }] });
    [n1, n2] = [lab.host('n1'), lab.host('n2')];
    await Promise.all(lab.hosts.map((host) => prepare(host, { bootstrapStepMs: 6_000 })));
    await installAgents(lab.hosts, { cluster: 'cut', family: 'ipv4', now: Date.now() });
    create = ['create', 'cut.example.com', '--fingerprint', await fingerprintOf(n1)];
  }, 240_000);
  afterAll(() => downLab(labName));

  /** Begins it, and returns while RS is at it. */
  async function begunOn(host: Host, args: readonly string[]): Promise<Running> {
    const running = await host.spawn(['rlnet', 'bootstrap', ...args, '--credentials', credentials, '--json']);
    for await (const line of running.lines) if (line.includes('initiated')) return running;
    throw new Error('it was never begun');
  }

  async function linked(): Promise<void> {
    await using watch = await watchFrom(n2);
    await watch.until('the agent of n1', ({ hosts }) =>
      hosts.some(({ host, link }) => host === 'n1' && link.status === 'connected'),
    );
  }

  /** kill -9, which systemd answers with a new start. */
  const killAgents = (): Promise<string[]> =>
    Promise.all(lab.hosts.map((host) => host.execOk(['systemctl', 'kill', '--signal=KILL', 'rlnet'])));

  test('by the end of its own command is taken up by the same one', { timeout: 120_000 }, async () => {
    await (await begunOn(n1, create)).kill();
    const followed = await bootstrap(n1, ...create);
    expect(nodeIn(followed)).toMatchObject({ uid: 1, status: 'ok' });
    expect(followed.stdout).toContain('it is followed, and nothing else is asked of RS');
    const address = n1.address('internal', 'ipv4');
    const own = await fingerprintOf(n2);
    join = [
      'join',
      address,
      '--fingerprint',
      own,
      '--fingerprint',
      await memberFingerprint(n2, own, address),
    ];
  });

  test('by a restart of the host in the middle is forgotten by RS, which is said, and begins anew', {
    timeout: 240_000,
  }, async () => {
    await linked();
    await begunOn(n2, join);
    await n2.reboot();
    await untilRsSays(n2, 'idle');
    expect(await n2.execOk(['rlnet', 'bootstrap', 'status'])).toContain('is no node');
  });

  test('by a network that is cut is said to have failed, and is not begun anew before it is whole', {
    timeout: 240_000,
  }, async () => {
    await linked();
    await begunOn(n2, join);
    await n2.cut('internal');
    await untilRsSays(n2, 'connect_error');
    const blocked = await bootstrap(n2, ...join);
    expect(blocked.error).toMatchObject({
      code: 'NODE_BOOTSTRAP_ERROR',
      message: expect.stringMatching(/^RS was not asked/),
    });
    await n2.heal('internal');
    await linked();
  });

  test('by agents that are killed is refused while there is none, and goes on without them once it has begun', {
    timeout: 240_000,
  }, async () => {
    await n2.execOk(['systemctl', 'stop', 'rlnet']);
    const alone = await bootstrap(n2, ...join);
    expect(alone.error?.code).toBe('NODE_BOOTSTRAP_ERROR');
    const unknown = (JSON.parse(alone.stdout) as BootstrapPlan).checks.flatMap(({ code, outcome }) =>
      outcome === 'unknown' ? [code] : [],
    );
    expect(unknown).toEqual(
      expect.arrayContaining(['CLOCK_DIFFERS', 'UNREACHABLE_FROM_NODE', 'RENUMBERING_OPEN']),
    );
    await n2.execOk(['systemctl', 'start', 'rlnet']);
    await linked();
    const joining = await begunOn(n2, join);
    await killAgents();
    await joining.kill();
    const followed = await bootstrap(n2, ...join);
    expect(followed.error).toBeUndefined();
    expect(nodeIn(followed)).toMatchObject({ uid: 2, status: 'ok' });
    await linked();
    // Both agents take it for what it is, too.
    await using watch = await watchFrom(n1);
    await watch.until('node 2 at n2', ({ hosts }) =>
      hosts.some(
        ({ host, link, state }) => host === 'n2' && link.status === 'connected' && state?.nodeUid === 2,
      ),
    );
  });
});

describe.runIf(full)('other hosts', () => {
  const labName = 'test-bootstrap-hosts';
  afterAll(() => downLab(labName));

  test.for([
    ['with IPv6 alone and one address for both uses', { internal: ['ipv6'], external: [] }, 'ipv6'],
    ['with IPv4 alone and one address for both uses', { internal: ['ipv4'], external: [] }, 'ipv4'],
    ['with both families and nothing said', { external: [] }, 'ipv4'],
  ] as const)('%s become a cluster of their own accord', { timeout: 240_000 }, async ([, spec, family]) => {
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

  test('with four addresses of each family on two cards become one by those that are given, bound or not', {
    timeout: 240_000,
  }, async () => {
    await downLab(labName);
    const more = (suffix: number) => ({
      extraInternal: [`10.77.0.${suffix}/24`, `fd77:0:0:1::${suffix}/64`],
      extraExternal: [`10.88.0.${suffix}/24`, `fd88:0:0:1::${suffix}/64`],
    });
    await using lab = await upLab({ name: labName, hosts: [more(81), more(82)] });
    await Promise.all(lab.hosts.map((host) => prepare(host)));
    const [n1, n2] = [lab.host('n1'), lab.host('n2')];
    const own = await fingerprintOf(n1);
    const unsaid = await bootstrap(n1, 'create', 'homes.example.com', '--fingerprint', own);
    expect(unsaid.error?.message).toMatch(/^RS was not asked\. ADDRESS_AMBIGUOUS: /);
    const outside = (suffix: number): string[] => [
      `10.88.0.${suffix}`,
      `fd88:0:0:1::${suffix}`,
      `203.0.113.${suffix}`,
    ];
    const given = (suffix: number): string[] => [
      ...['--addr', `fd77:0:0:1::${suffix}`],
      ...outside(suffix).flatMap((address) => ['--external', address]),
    ];
    const wide = ['create', 'homes.example.com', '--use-internal-ipv6', ...given(81), '--fingerprint', own];
    expect(nodeIn(await bootstrap(n1, ...wide))).toMatchObject({
      address: 'fd77:0:0:1::81',
      externalAddresses: outside(81),
    });
    const theirs = await fingerprintOf(n2);
    const pins = [
      '--fingerprint',
      theirs,
      '--fingerprint',
      await memberFingerprint(n2, theirs, 'fd77:0:0:1::81'),
    ];
    const joined = await bootstrap(n2, 'join', 'fd77:0:0:1::81', '--without-mesh', ...given(82), ...pins);
    expect(nodeIn(joined)).toMatchObject({
      uid: 2,
      address: 'fd77:0:0:1::82',
      externalAddresses: outside(82),
    });
  });
});
