import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BootstrapPlan } from '../../src/protocol/bootstrap/plan.ts';
import { installAgents } from '../support/lab/agent.ts';
import {
  bootstrap,
  credentials,
  credentialsFile,
  fingerprintOf,
  memberFingerprint,
  prepare,
  untilRsSays,
  username,
  version,
} from '../support/lab/bootstrap.ts';
import { downLab, type Host, type Lab, upLab } from '../support/lab/lab.ts';
import { waitFor } from '../support/lab/run.ts';
import { watchFrom } from '../support/lab/watch.ts';
import { bootstrapStandin, standinCredentials } from '../support/standin/bootstrap.ts';
import { installStandinPackage } from '../support/standin/install.ts';

/** Every way to fail a bootstrap that a host of the lab can be brought to: caught before RS is asked, and explained. RS is the stand-in. */

const labName = 'test-bootstrap-refused';
let lab: Lab;
/** Node 1 of a cluster over IPv6, and its node 2. */
let n1: Host;
let n6: Host;
/** With both families on two cards: the one that would be a node. */
let n2: Host;
/** With IPv4 alone, and with IPv6 alone. */
let n3: Host;
let n4: Host;
/** Node 1 of a cluster over IPv4. */
let n5: Host;

beforeAll(async () => {
  await downLab(labName);
  lab = await upLab({
    name: labName,
    hosts: [{}, {}, { internal: ['ipv4'], external: ['ipv4'] }, { internal: ['ipv6'], external: [] }, {}, {}],
  });
  [n1, n2, n3] = [lab.host('n1'), lab.host('n2'), lab.host('n3')];
  [n4, n5, n6] = [lab.host('n4'), lab.host('n5'), lab.host('n6')];
  await Promise.all(
    lab.hosts.map((host) => prepare(host, { downAfterMs: 5_000 }, standinCredentials.password)),
  );
}, 300_000);
afterAll(() => downLab(labName));

interface Way {
  what: string;
  /** The code of the error; of the checks that refuse, where it is that of a bootstrap that was not begun. */
  caught: string | string[];
  host?: () => Host;
  args: () => string[];
  /** For a shell on the host: brings it there, and back again. */
  before?: string;
  after?: string;
}

const ipv6 = (host: Host): string => host.address('internal', 'ipv6');
const ipv4 = (host: Host): string => host.address('internal', 'ipv4');
const outside = (host: Host): string => host.address('external', 'ipv4');
const over4 = (host = n2): string[] => ['--addr', ipv4(host), '--external', outside(host)];
const over6 = (host = n2): string[] => ['--addr', ipv6(host), '--external', outside(host)];
const create = (...args: string[]): string[] => ['create', 'cluster.example.com', ...args];

/** Certificates that were read on the hosts themselves. */
const pins: string[] = [];
async function pin(hosts: readonly Host[]): Promise<void> {
  for (const host of hosts) pins.push('--fingerprint', await fingerprintOf(host));
}

/** Goes the way, and says what it came to: nothing was asked of RS, with what stands in the way. */
async function failing({ host = () => n2, args, before = 'true', after = 'true' }: Way): Promise<{
  caught: string | string[];
  remedies: string[];
}> {
  const on = host();
  await on.execOk(['sh', '-ec', before], { timeoutMs: 60_000 });
  try {
    const { error, stdout } = await bootstrap(on, ...args(), ...pins);
    if (error?.code !== 'NODE_BOOTSTRAP_ERROR') {
      return { caught: error?.code ?? `began: ${stdout}`, remedies: [error?.remedy ?? ''] };
    }
    expect(error.message).toMatch(/^RS was not asked\. [A-Z0-9_]+: .+\.$/s);
    const refused = (JSON.parse(stdout) as BootstrapPlan).checks.filter(
      ({ severity, outcome }) => severity === 'refuses' && outcome === 'fail',
    );
    return { caught: refused.map(({ code }) => code), remedies: refused.map(({ remedy }) => remedy) };
  } finally {
    await on.execOk(['sh', '-ec', after], { timeoutMs: 60_000 });
  }
}

async function catches(way: Way): Promise<void> {
  const { caught, remedies } = await failing(way);
  expect(caught).toEqual(way.caught);
  for (const remedy of remedies) expect(remedy).toMatch(/^\S.{10,}/s);
}

const journalOfRs = (host: Host): Promise<string> =>
  host.execOk(['journalctl', '--unit=rlec_supervisor', '--no-pager', '--output=cat']);

/** That RS's REST API of these hosts got no request but to look. */
async function nothingAsked(hosts: readonly Host[]): Promise<void> {
  for (const host of hosts) {
    const journal = await journalOfRs(host);
    expect(journal).toContain('waiting to be bootstrapped');
    expect(journal.split('\n').filter((line) => line.includes('REST: '))).toEqual([]);
    await untilRsSays(host, 'idle');
  }
}

const credentialsOf = (user: string, secret: string): string =>
  `printf '${credentialsFile(user, secret).replaceAll('\n', '\\n')}' >${credentials}`;
const right = credentialsOf(username, standinCredentials.password);
/** Drops what comes in, or goes out, to TCP ports of RS. */
const firewall = (hook: 'input' | 'output', match: string): string =>
  `nft 'add table inet refused; add chain inet refused gate { type filter hook ${hook} priority 0; }; add rule inet refused gate ${match} drop'`;
const noFirewall = 'nft delete table inet refused';

const creating: Way[] = [
  {
    what: 'a name that DNS does not take',
    caught: ['NAME_INVALID'],
    args: () => ['create', 'my_cluster.example.com', ...over4()],
  },
  {
    what: 'a user name that RS does not take',
    caught: ['USERNAME_INVALID'],
    args: () => create(...over4()),
    before: credentialsOf('a&b', 'x'),
    after: right,
  },
  {
    what: "the vendor's own example, a prefix, as address",
    // It is none, so that which one is meant is not clear either.
    caught: ['ADDRESS_NOT_HOST', 'ADDRESS_AMBIGUOUS'],
    args: () => create('--use-internal-ipv6', '--addr', '2001:DB8::/32', '--external', outside(n2)),
  },
  {
    what: 'a link-local external address',
    caught: ['EXTERNAL_ADDRESS_UNUSABLE'],
    args: () => create(...over4(), '--external', 'fe80::1'),
  },
  {
    what: 'IPv6 inside on a host with IPv4 alone',
    caught: ['FAMILY_MISSING'],
    host: () => n3,
    args: () => create('--use-internal-ipv6', '--external', outside(n3)),
  },
  {
    what: 'an IPv6 address without use_internal_ipv6 on a host with both',
    caught: ['ADDRESS_FAMILY_DIFFERS'],
    args: () => create(...over6()),
  },
  {
    what: 'an address that is on no interface',
    caught: ['ADDRESS_NOT_BOUND'],
    args: () => create('--addr', '10.77.0.99', '--external', outside(n2)),
  },
  {
    what: 'an address that is on two interfaces',
    caught: ['ADDRESS_UNFIT'],
    args: () => create(...over4()),
    before: 'ip address add 10.77.0.22/32 dev eth1',
    after: 'ip address delete 10.77.0.22/32 dev eth1',
  },
  {
    what: 'nothing said on a host with two cards',
    caught: ['ADDRESS_AMBIGUOUS'],
    args: () => create(),
  },
  {
    what: 'IPv6 inside with an RS before 7.4.2',
    caught: ['VERSION_TOO_OLD'],
    args: () => create('--use-internal-ipv6', ...over6()),
  },
  {
    what: 'an address with ::1 in it and a build with RS188659',
    caught: ['RS188659'],
    args: () => create('--use-internal-ipv6', '--addr', 'fd77:0:0:1::1a', '--external', outside(n2)),
    before: 'ip address add fd77:0:0:1::1a/64 dev eth0 nodad',
    after: 'ip address delete fd77:0:0:1::1a/64 dev eth0',
  },
  {
    what: 'no ::1 localhost',
    caught: ['HOSTS_LOCALHOST_IPV6_MISSING'],
    args: () => create(...over4()),
    before: "cp /etc/hosts /etc/hosts.was; sed -i '/^::1[[:space:]]/d' /etc/hosts",
    after: 'mv /etc/hosts.was /etc/hosts',
  },
  {
    what: 'another program on a port of RS',
    caught: ['PORT_TAKEN'],
    args: () => create(...over4()),
    before:
      'systemd-run --quiet --unit=squatter --collect /opt/rlnet/bin/node -e "require(\'net\').createServer().listen(3333)"; until ss -ltn | grep -q ":3333 "; do sleep 0.2; done',
    after: 'systemctl stop squatter',
  },
  {
    what: 'credentials that others can read',
    caught: 'CREDENTIALS_EXPOSED',
    args: () => create(...over4()),
    before: `chmod 644 ${credentials}`,
    after: `chmod 600 ${credentials}`,
  },
  {
    what: 'no RS that answers',
    caught: 'RS_REST_UNREACHABLE',
    args: () => create(...over4()),
    before: 'systemctl stop rlec_supervisor',
    after: 'systemctl start rlec_supervisor',
  },
];

/** The version of RS that is installed meanwhile. */
const versions: Readonly<Record<string, string>> = {
  'IPv6 inside with an RS before 7.4.2': '7.4.0-100',
  'an address with ::1 in it and a build with RS188659': '7.22.0-95',
};

describe('a cluster is not created with', () => {
  beforeAll(() => pin([n2, n3]), 60_000);

  test.for(creating)('$what: $caught', { timeout: 120_000 }, async (way) => {
    const meanwhile = versions[way.what];
    if (meanwhile !== undefined) await installStandinPackage(n2, meanwhile);
    try {
      await catches(way);
    } finally {
      if (meanwhile !== undefined) await installStandinPackage(n2, version);
      await untilRsSays(n2, 'idle');
    }
  });

  test('and RS got no request', () => nothingAsked([n2, n3]), 60_000);
});

const joining: Way[] = [
  {
    what: 'IPv4 alone, into a cluster over IPv6',
    caught: ['FAMILY_MISSING', 'MEMBER_NOT_INTERNAL'],
    host: () => n3,
    // The only address of the member that it reaches at all.
    args: () => ['join', outside(n1), '--without-mesh', '--external', outside(n3)],
  },
  {
    what: 'IPv6 alone, into a cluster over IPv4',
    caught: ['FAMILY_MISSING', 'MEMBER_NOT_INTERNAL'],
    host: () => n4,
    args: () => ['join', ipv6(n5), '--without-mesh', '--external', ipv6(n4)],
  },
  {
    what: 'an IPv4 address into a cluster over IPv6',
    caught: ['ADDRESS_FAMILY_DIFFERS'],
    args: () => ['join', ipv6(n1), ...over4()],
  },
  {
    what: 'the external address of a member',
    caught: ['MEMBER_NOT_INTERNAL'],
    args: () => ['join', outside(n1), ...over6()],
  },
  {
    what: 'an external address of another node',
    caught: ['ADDRESS_OF_NODE'],
    args: () => ['join', ipv6(n1), ...over6(), '--external', outside(n6)],
  },
  {
    what: 'a firewall before the ports of the member',
    caught: ['MEMBER_UNREACHABLE'],
    args: () => ['join', ipv6(n1), ...over6()],
    before: firewall('output', 'tcp dport 36379'),
    after: noFirewall,
  },
  {
    what: 'a firewall before the ports of this host',
    caught: ['UNREACHABLE_FROM_NODE'],
    args: () => ['join', ipv6(n1), ...over6()],
    before: firewall('input', 'iifname eth0 tcp dport 20000-29999'),
    after: noFirewall,
  },
  {
    what: 'a password that the cluster does not know',
    caught: 'RS_SIGN_IN_REFUSED',
    args: () => ['join', ipv6(n1), ...over6()],
    before: credentialsOf(username, 'wrong'),
    after: right,
  },
  {
    what: 'a host whose agents are of a cluster already, as the first of another one',
    caught: ['CLUSTER_EXISTS'],
    args: () => create('--use-internal-ipv6', ...over6()),
  },
];

describe('a host does not join with', () => {
  beforeAll(async () => {
    const external = (host: Host) => [host.address('external', 'ipv4')];
    const node6 = (host: Host) => ({
      host,
      addr: host.address('internal', 'ipv6'),
      externalAddr: external(host),
    });
    await Promise.all([
      bootstrapStandin([n1, n6].map(node6), { clusterName: 'six.example', family: 'ipv6' }),
      bootstrapStandin(
        [
          {
            host: n5,
            addr: n5.address('internal', 'ipv4'),
            externalAddr: [n5.address('internal', 'ipv6')],
          },
        ],
        { clusterName: 'four.example', family: 'ipv4' },
      ),
    ]);
    await installAgents([n1, n2, n6], { cluster: 'refused', family: 'ipv6', now: Date.now() });
    await pin([n4]);
    pins.push('--fingerprint', await memberFingerprint(n2, pins[1] ?? '', ipv6(n1)));
    pins.push('--fingerprint', await memberFingerprint(n2, pins[1] ?? '', ipv4(n5)));
    await using watch = await watchFrom(n2);
    await watch.until(
      'three linked agents',
      ({ hosts }) => hosts.filter(({ link }) => link.status !== 'disconnected').length === 3,
    );
  }, 240_000);

  test.for(joining)('$what: $caught', { timeout: 120_000 }, catches);

  test('a certificate that nobody gave: RS_CERTIFICATE_UNKNOWN', async () => {
    const told = await bootstrap(n2, 'join', ipv6(n1), ...over6(), ...pins.slice(0, 2));
    expect(told.error).toMatchObject({
      code: 'RS_CERTIFICATE_UNKNOWN',
      message: expect.stringContaining('Nothing was sent'),
    });
  });

  test('a renumbering under way in the cluster: RENUMBERING_OPEN; nor with a node down that it would replace: NODE_DOWN', {
    timeout: 240_000,
  }, async () => {
    // Once its host restarts both are so.
    const plan = ['rlnet', 'renumber', 'plan', '2', 'fd77:0:0:1::76/64', '--accept-outage', '--json'];
    const { plan: made } = JSON.parse(await n1.execOk(plan, { timeoutMs: 90_000 })) as {
      plan: { id: string };
    };
    await n1.execOk(['rlnet', 'renumber', 'start', made.id], { timeoutMs: 60_000 });
    const seen = new Set<string>();
    const found = await waitFor('both to be found', { timeoutMs: 200_000 }, async () => {
      const { caught } = await failing({ what: '', caught: '', args: () => ['join', ipv6(n1), ...over6()] });
      for (const code of caught) seen.add(code);
      return seen.has('RENUMBERING_OPEN') && seen.has('NODE_DOWN') ? true : undefined;
    });
    expect(found).toBe(true);
  });

  test('and RS got no request', async () => {
    await nothingAsked([n2, n3, n4]);
    // There it would be seen.
    expect(await journalOfRs(n1)).toContain('REST: POST /v1/bootstrap/create_cluster');
  }, 60_000);
});
