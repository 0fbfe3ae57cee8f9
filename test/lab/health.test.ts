import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Issued, issueHost } from '../../src/cli/tls-issue.ts';
import { createRandom } from '../../src/host/random.ts';
import { installAgents } from '../support/lab/agent.ts';
import { askCollector, startCollector, watchCollector } from '../support/lab/collector.ts';
import { downLab, type Host, type Lab, upLab } from '../support/lab/lab.ts';
import { waitFor } from '../support/lab/run.ts';
import { full } from '../support/sampling.ts';
import { bootstrapStandin } from '../support/standin/bootstrap.ts';
import { installStandin } from '../support/standin/install.ts';

/** What is broken on real hosts, as a collector on another network and a real Prometheus show it. */

const labName = 'test-health';
const dayMs = 86_400_000;
/** What the kernel, inotify or systemd tells; what is read at a pace. Milliseconds from the break to the collector's API. */
const hinted = 2_000;
const read = 5_000;

let lab: Lab;
let n1: Host;
let n2: Host;
let n3: Host;
let ca: Issued;
let watch: Awaited<ReturnType<typeof watchCollector>>;

/** The collector's own, beside those of its host: it may move from the first to the second. */
const collectorAddresses = ['10.88.0.98', '10.88.0.99'] as const;

/** What a name server says. */
async function nameCollector(address: string): Promise<void> {
  const script = `{ grep -v collector.example /etc/hosts; echo "${address} collector.example"; } >/run/hosts; cat /run/hosts >/etc/hosts`;
  await Promise.all(lab.hosts.map((host) => host.execOk(['sh', '-c', script])));
}

function report(what: string, ms: number): void {
  process.stdout.write(`  measured: ${what}: ${Math.round(ms)} ms\n`);
}

beforeAll(async () => {
  await downLab(labName);
  lab = await upLab({ name: labName, hosts: [{}, {}, {}] });
  [n1, n2, n3] = [lab.host('n1'), lab.host('n2'), lab.host('n3')];
  await Promise.all(lab.hosts.map((host) => installStandin(host)));
  const nodes = lab.hosts.map((host) => ({
    host,
    addr: host.address('internal', 'ipv6'),
    externalAddr: host.addresses('external'),
  }));
  await bootstrapStandin(nodes, { clusterName: 'health.example', family: 'ipv6' });
  for (const host of [n2, n3]) await host.execOk(['sh', '-c', wrapRladmin]);
  await n1.execOk(['ip', 'addr', 'add', `${collectorAddresses[0]}/24`, 'dev', 'eth1']);
  await nameCollector(collectorAddresses[0]);
  ca = await installAgents(lab.hosts, {
    cluster: 'health',
    family: 'ipv6',
    now: Date.now(),
    moreOf: (host) =>
      `collector:\n  url: wss://collector.example:9471\nmetrics:\n  address: ${host.address('external', 'ipv4')}\n  ca: /etc/rlnet/tls/ca.crt\n`,
  });
  await startCollector(n1, 'health', ca);
  watch = await watchCollector(n1);
  await waitFor('three hosts that have reported', { timeoutMs: 60_000 }, async () => {
    const { hosts } = (await askCollector(n1, '/api/v1/hosts')) as {
      hosts: { connected: boolean; state: { findings: unknown[] } }[];
    };
    return hosts.length === 3 &&
      hosts.every(({ connected, state }) => connected && state.findings.length === 0)
      ? true
      : undefined;
  });
});
afterAll(async () => {
  try {
    await watch?.[Symbol.asyncDispose]();
  } finally {
    await downLab(labName);
  }
});

/** A program in front of rladmin that says what a file says, where there is one. */
const wrapRladmin = `set -e
mv /opt/redislabs/bin/rladmin /opt/redislabs/bin/rladmin.real
cat >/opt/redislabs/bin/rladmin <<'END'
#!/bin/sh
[ -e /run/lab-rladmin-fails ] && { echo "ERROR: no quorum" >&2; exit 1; }
[ "$*" = "status nodes" ] && [ -e /run/lab-nodes ] && exec cat /run/lab-nodes
[ "$*" = "info cluster" ] && [ -e /run/lab-info ] && exec cat /run/lab-info
exec /opt/redislabs/bin/rladmin.real "$@"
END
chmod 755 /opt/redislabs/bin/rladmin
`;

interface Break {
  code: string;
  /** What the evidence says then. */
  evidence: RegExp;
  within: number;
  make: (host: Host) => Promise<unknown>;
  mend: (host: Host) => Promise<unknown>;
}
const sh = (script: string) => (host: Host) => host.execOk(['sh', '-c', script]);
const internal = (host: Host) => host.address('internal', 'ipv6');

/** Breaks them all at once on one host, sees each at the collector in time and with its evidence, mends them, and sees that all are gone. */
async function breakAll(host: Host, breaks: readonly Break[]): Promise<void> {
  const foundAt = new Map<string, number>();
  await Promise.all(
    breaks.map(async ({ code, evidence, make }) => {
      const began = performance.now();
      await make(host);
      const { findings, at } = await watch.until(`${code} of ${host.name}`, (all) =>
        all.some((finding) => finding.host === host.name && finding.code === code),
      );
      const found = findings.find((finding) => finding.host === host.name && finding.code === code);
      expect(`${found?.outcome} ${found?.evidence}`).toMatch(new RegExp(`^fail .*${evidence.source}`));
      foundAt.set(code, at - began);
      report(`${code}, at the collector`, at - began);
    }),
  );
  for (const { code, within } of breaks)
    expect({ code, late: (foundAt.get(code) ?? 0) > within }).toEqual({ code, late: false });
  const codes = breaks.map(({ code }) => code);
  const mended = performance.now();
  await Promise.all(breaks.map(({ mend }) => mend(host)));
  const { at } = await watch.until(`nothing of ${codes.join(', ')}`, (all) =>
    all.every((finding) => finding.host !== host.name || !codes.includes(finding.code)),
  );
  report(`${codes.length} findings gone`, at - mended);
}

test('what is wrong with a host shows at the collector with its evidence, and goes when it is mended', async () => {
  const hosts = await n2.readFile('/etc/hosts');
  const ports = (await n2.readFile('/proc/sys/net/ipv4/ip_local_port_range')).trim();
  const own = internal(n2);
  const lasting = await n2.readFile('/etc/rlnet/tls/host.crt');
  const key = await n2.readFile('/etc/rlnet/tls/host.key');
  const ending = await issueHost(ca, 'n2', {
    now: Date.now() - 6.9 * dayMs,
    days: 7,
    random: createRandom().id(),
  });
  const put = (certificate: string, itsKey: string) => async (host: Host) => {
    await host.writeFile('/etc/rlnet/tls/host.key', itsKey, 0o600);
    await host.writeFile('/etc/rlnet/tls/host.crt', certificate);
  };
  await breakAll(n2, [
    {
      code: 'HOSTS_LOCALHOST_IPV6_MISSING',
      evidence: /localhost/,
      within: hinted,
      make: sh("sed -i '/^::1[[:space:]]/d' /etc/hosts"),
      mend: (host) => host.writeFile('/etc/hosts', hosts),
    },
    {
      code: 'LOCAL_PORTS_OVERLAP',
      evidence: /1024 65535/,
      within: read,
      make: sh('sysctl -qw net.ipv4.ip_local_port_range="1024 65535"'),
      mend: sh(`sysctl -qw net.ipv4.ip_local_port_range="${ports}"`),
    },
    {
      code: 'PORT_53_TAKEN',
      evidence: /127\.0\.0\.53 port 53/,
      within: read,
      make: sh(
        `systemd-run --quiet --unit=lab-stub /opt/rlnet/bin/node --eval 'require("dgram").createSocket("udp4").bind(53, "127.0.0.53")'`,
      ),
      mend: sh('systemctl stop lab-stub'),
    },
    {
      code: 'REBOOT_PENDING',
      evidence: /reboot-required/,
      within: read,
      make: sh('touch /run/reboot-required'),
      mend: sh('rm /run/reboot-required'),
    },
    {
      code: 'INTERNAL_MTU_SMALL',
      evidence: /eth0 has MTU 1400/,
      within: hinted,
      make: sh('ip link set eth0 mtu 1400'),
      mend: sh('ip link set eth0 mtu 1500'),
    },
    {
      code: 'INTERNAL_ADDRESS_HELD_TWICE',
      evidence: /eth0 and eth1/,
      within: hinted,
      make: sh(`ip addr add ${own}/128 dev eth1 nodad noprefixroute`),
      mend: sh(`ip addr del ${own}/128 dev eth1`),
    },
    {
      code: 'INTERNAL_ADDRESS_LEASED',
      evidence: /is dynamic/,
      within: hinted,
      make: sh(`ip addr change ${own}/64 dev eth0 valid_lft 3600 preferred_lft 0`),
      mend: sh(`ip addr change ${own}/64 dev eth0 valid_lft forever preferred_lft forever`),
    },
    {
      code: 'INTERNAL_ADDRESS_DEPRECATED',
      evidence: /is deprecated/,
      within: hinted,
      make: async () => {},
      mend: async () => {},
    },
    {
      code: 'RS_UNIT_NOT_ENABLED',
      evidence: /rlec_supervisor\.service is disabled/,
      within: read,
      make: sh('systemctl --quiet disable rlec_supervisor'),
      mend: sh('systemctl --quiet enable rlec_supervisor'),
    },
    {
      code: 'CERTIFICATE_ENDS_SOON',
      evidence: /the host's certificate ends on/,
      within: read,
      make: put(ending.certificate, ending.key),
      mend: put(lasting, key),
    },
    {
      code: 'DEAD_MAN_ACTED',
      evidence: /for the old address/,
      within: read,
      make: sh(
        'mkdir -p /var/lib/rlnet/dead-man; echo old >/var/lib/rlnet/dead-man/taken-over; echo true >/var/lib/rlnet/dead-man/script',
      ),
      mend: sh('rm /var/lib/rlnet/dead-man/taken-over /var/lib/rlnet/dead-man/script'),
    },
  ]);
});

/** `rladmin status nodes` with these rows, in the columns of the product. */
function nodeTable(rows: readonly (readonly string[])[]): string {
  const head = [
    'NODE:ID',
    'ROLE',
    'ADDRESS',
    'EXTERNAL_ADDRESS',
    'HOSTNAME',
    'SHARDS',
    'CORES',
    'FREE_RAM',
    'PROVISIONAL_RAM',
    'VERSION',
    'STATUS',
  ];
  const lines = [head, ...rows].map((cells) =>
    cells
      .map((cell, index) => cell.padEnd(index === 0 ? 12 : 24))
      .join('')
      .trimEnd(),
  );
  return `CLUSTER NODES:\n${lines.join('\n')}\n`;
}

test('what is wrong with RS shows at the collector once its table was read, and goes when it is mended', async () => {
  const row = (
    id: string,
    role: string,
    address: string,
    external: string,
    shards: string,
    version: string,
    status: string,
  ) => [
    id,
    role,
    address,
    external,
    `${id.replace(/\D/g, 'n')}`,
    shards,
    '2',
    '1GB/2GB',
    '1GB/2GB',
    version,
    status,
  ];
  const doctored = nodeTable([
    row('*node:1', 'master', internal(n1), '10.88.0.21', '1/100', '7.4.2-54', 'OK'),
    row('node:2', 'slave', internal(n2), '10.9.9.9', '1/100', '7.22.2-170', 'DOWN'),
    row('node:3', 'slave', internal(n3), '10.9.9.9', '0/0', '7.4.2-54', 'DOWN'),
    row('node:4', 'slave', 'fd77:0:0:9::10', '10.88.0.24', '1/100', '7.4.2-54', 'OK'),
    row('node:5', 'slave', '10.77.0.99', '10.88.0.25', '1/100', '7.4.2-54', 'OK'),
    row('node:x', 'slave', 'nowhere', '-', '1/100', '7.4.2-54', 'OK'),
  ]);
  const info = 'slave_ha: enabled\nslave_ha_grace_period: 60\n';
  const checked = async (host: Host) => await host.exec(['rlnet', 'check'], { timeoutMs: 60_000 });
  const expected: Record<string, RegExp> = {
    RS_NODE_NOT_OK: /node 2 is DOWN/,
    RS_OTHER_NODE_NOT_OK: /node 3 .*is DOWN/,
    RS_ROWS_UNREAD: /node:x/,
    RS_NODE_ID_DIFFERS: /node\.id says 2, rladmin 1/,
    RS_FAMILY_MIXED: /IPv4: node 5/,
    RS_EXTERNAL_ADDRESS_TWICE: /nodes 2 and 3 have 10\.9\.9\.9/,
    RS_EXTERNAL_ADDRESS_ELSEWHERE: /10\.9\.9\.9 is on no interface/,
    RS_NODE_TAKES_NO_SHARDS: /node 3 has 0\/0/,
    RS_HA_GRACE_SHORT: /it waits 60 s/,
    RS_LOOPBACK_BUG: /node 4 is at fd77:0:0:9::10/,
    RS_VERSIONS_DIFFER: /7\.22\.2-170: node 2/,
    MESH_AGENT_MISSING: /node [45] at/,
    CLOCK_NOT_SYNCHRONISED: /NTPSynchronized=no/,
    AGENT_NOT_ENABLED: /rlnet\.service is disabled/,
  };
  await n2.writeFile('/run/lab-info', info);
  await n2.writeFile('/run/lab-clock', 'no\n');
  await n2.execOk(['systemctl', '--quiet', 'disable', 'rlnet']);
  await n2.writeFile('/run/lab-nodes', doctored);
  // Reads everything afresh; the agent itself would within 12 s, and what is read by cron within half an hour.
  const began = performance.now();
  expect((await checked(n2)).exitCode).toBe(20);
  const { findings, at } = await watch.until(Object.keys(expected).join(', '), (all) =>
    Object.keys(expected).every((code) =>
      all.some((finding) => finding.host === 'n2' && finding.code === code),
    ),
  );
  report(`${Object.keys(expected).length} findings about RS, from rlnet check to the collector`, at - began);
  expect(at - began).toBeLessThan(hinted + read + 3_000);
  for (const [code, evidence] of Object.entries(expected)) {
    const found = findings.find((finding) => finding.host === 'n2' && finding.code === code);
    expect(`${code}: ${found?.evidence}`).toMatch(evidence);
  }
  await n2.execOk(['rm', '/run/lab-nodes', '/run/lab-info']);
  await n2.writeFile('/run/lab-clock', 'yes\n');
  await n2.execOk(['systemctl', '--quiet', 'enable', 'rlnet']);
  await checked(n2);
  await watch.until('nothing of that', (all) =>
    all.every(({ host, code }) => host !== 'n2' || expected[code] === undefined),
  );
});

test('a change in the table of RS of which nothing tells the agents shows in time, and on every host soon after', async () => {
  const atFirst: number[] = [];
  const atOthers: number[] = [];
  const shows = ({ code }: { code: string }) => code === 'RS_NODE_TAKES_NO_SHARDS';
  for (let change = 0; change < (full ? 40 : 2); change += 1) {
    const isOn = change % 2 === 0;
    // Anywhere in the 12 s in which every host reads the table once.
    await setTimeout(3_000 + Math.random() * 12_000);
    await n1.execOk(['/opt/redislabs/bin/rladmin', 'node', '3', 'maintenance_mode', isOn ? 'on' : 'off']);
    const began = performance.now();
    const changed = async (what: string, count: number) =>
      await watch.until(`${what} with maintenance mode ${isOn ? 'on' : 'off'}`, (all) => {
        const showing = all.filter(shows).length;
        return (isOn ? showing : 3 - showing) >= count;
      });
    const first = await changed('one host', 1);
    const last = await changed('all hosts', 3);
    atFirst.push(first.at - began);
    atOthers.push(last.at - first.at);
  }
  const whole = (all: readonly number[]) => all.map(Math.round).sort((a, b) => a - b);
  process.stdout.write(
    `  measured: a change of the table, at the collector: ${whole(atFirst).join(' ')} ms\n`,
  );
  process.stdout.write(`  measured: and from all hosts after that: ${whole(atOthers).join(' ')} ms\n`);
  expect(Math.max(...atFirst)).toBeLessThan(read);
  // Without a word of the first one the last one would read it 8 s later.
  expect(Math.max(...atOthers)).toBeLessThan(read);
});

test('a unit that is stopped shows in time', async () => {
  const began = performance.now();
  await n2.execOk(['systemctl', 'stop', 'rlec_supervisor']);
  const stopped = await watch.until('the stopped unit', (all) =>
    all.some(({ host, code }) => host === 'n2' && code === 'RS_UNIT_NOT_RUNNING'),
  );
  report('RS_UNIT_NOT_RUNNING, at the collector', stopped.at - began);
  expect(stopped.at - began).toBeLessThan(hinted);
  // RS takes half a minute to call it down.
  if (full) {
    const { findings, at } = await watch.until('RS of n1 saying so', (all) =>
      all.some(({ host, code }) => host === 'n1' && code === 'RS_OTHER_NODE_NOT_OK'),
    );
    report('RS_OTHER_NODE_NOT_OK of n1, at the collector', at - began);
    const ofN2 = findings.filter(({ host }) => host === 'n2').map(({ code }) => code);
    expect(ofN2).toEqual(['RS_UNIT_NOT_RUNNING']);
  }
  await n2.execOk(['systemctl', 'start', 'rlec_supervisor']);
  await watch.until('nothing', (all) => all.length === 0);
});

test('a host that lost its internal address says so in time and no more, and the others that they do not reach it', async () => {
  const began = performance.now();
  await n3.execOk(['ip', 'addr', 'del', `${internal(n3)}/64`, 'dev', 'eth0']);
  const { at } = await watch.until('the lost address', (all) =>
    all.some(({ host, code }) => host === 'n3' && code === 'INTERNAL_ADDRESS_NOT_BOUND'),
  );
  report('INTERNAL_ADDRESS_NOT_BOUND, at the collector', at - began);
  expect(at - began).toBeLessThan(hinted);
  const { findings, at: seen } = await watch.until('n1 and n2 saying so', (all) =>
    ['n1', 'n2'].every((name) =>
      all.some(({ host, code }) => host === name && code === 'MESH_PEER_UNREACHABLE'),
    ),
  );
  report('MESH_PEER_UNREACHABLE of the others, at the collector', seen - began);
  expect(seen - began).toBeLessThan(read);
  expect(findings.filter(({ host }) => host === 'n3').map(({ code }) => code)).toEqual([
    'INTERNAL_ADDRESS_NOT_BOUND',
  ]);
  await n3.execOk(['ip', 'addr', 'add', `${internal(n3)}/64`, 'dev', 'eth0', 'nodad']);
  const back = performance.now();
  const { at: gone } = await watch.until('nothing', (all) => all.length === 0);
  report('all of that gone', gone - back);
});

test('a collector that has moved to another address is found there, and is told what happened meanwhile', async () => {
  const [before, after] = collectorAddresses;
  const began = Date.now();
  // Nothing tells the agents: their connections are silent from here on.
  await n1.execOk(['ip', 'addr', 'del', `${before}/24`, 'dev', 'eth1']);
  await n2.execOk(['touch', '/run/reboot-required']);
  const pending = async () => {
    const { hosts } = JSON.parse(await n2.execOk(['rlnet', 'status', '--json'])) as {
      hosts: { host: string; state?: { findings: { code: string }[] } }[];
    };
    const own = hosts.find(({ host }) => host === 'n2')?.state?.findings ?? [];
    return own.some(({ code }) => code === 'REBOOT_PENDING');
  };
  await waitFor('n2 to know of a reboot', { timeoutMs: 60_000 }, async () =>
    (await pending()) ? true : undefined,
  );
  await n2.execOk(['rm', '/run/reboot-required']);
  await waitFor('n2 to know of none', { timeoutMs: 60_000 }, async () =>
    (await pending()) ? undefined : true,
  );
  await n1.execOk(['ip', 'addr', 'add', `${after}/24`, 'dev', 'eth1']);
  await nameCollector(after);
  const moved = performance.now();
  const kinds = await waitFor('what n2 had to tell', { timeoutMs: 120_000 }, async () => {
    const { events } = (await askCollector(n1, '/api/v1/events?host=n2&limit=1000')) as {
      events: { received: number; kind: string; data: { code?: string } }[];
    };
    const told = events.filter(({ received, data }) => data.code === 'REBOOT_PENDING' && received > began);
    return told.length < 2 ? undefined : told.map(({ kind }) => kind).toReversed();
  });
  report('a collector that moved, told everything', performance.now() - moved);
  expect(kinds).toEqual(['finding', 'finding_gone']);
  await watch.until('nothing', (all) => all.length === 0);
});

test('every event is in the database once and in order', async () => {
  const { events } = (await askCollector(n1, '/api/v1/events?after=0&limit=1000')) as {
    events: { host: string; stream: string; n: number; kind: string }[];
  };
  expect(new Set(events.map(({ kind }) => kind))).toEqual(
    new Set(['agent_started', 'finding', 'finding_gone', 'interfaces', 'peer', 'unit']),
  );
  for (const [stream, of] of Map.groupBy(events, ({ host, stream: name }) => `${host} ${name}`))
    expect(`${stream}: ${of.map(({ n }) => n).join(' ')}`).toBe(
      `${stream}: ${of.map((_, index) => index + 1).join(' ')}`,
    );
  expect((await askCollector(n1, '/api/v1/collector')) as object).toMatchObject({
    lost: 0,
    connections: 3,
    failures: 0,
  });
});

describe('a real Prometheus', () => {
  const ask = async (
    query: string,
  ): Promise<{ metric: Record<string, string>; value: [number, string] }[]> => {
    const url = `http://127.0.0.1:9090/api/v1/query?query=${encodeURIComponent(query)}`;
    const script = `process.stdout.write(await (await fetch(${JSON.stringify(url)})).text())`;
    const answer = await n1.execOk(['/opt/rlnet/bin/node', '--input-type=module', '--eval', script]);
    return (
      JSON.parse(answer) as {
        data: { result: { metric: Record<string, string>; value: [number, string] }[] };
      }
    ).data.result;
  };

  beforeAll(async () => {
    await n1.copyFile(
      join(import.meta.dirname, '../../.runtime/prometheus/usr/bin/prometheus'),
      '/usr/bin/prometheus',
    );
    const targets = lab.hosts.map((host) => `"${host.address('external', 'ipv4')}:9473"`).join(', ');
    await n1.writeFile(
      '/etc/prometheus.yml',
      `global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [/usr/share/rlnet/prometheus.rules.yaml]
scrape_configs:
  - job_name: rlnet
    scheme: https
    tls_config: { ca_file: /etc/rlnet/tls/ca.crt, cert_file: /etc/rlnet/tls/host.crt, key_file: /etc/rlnet/tls/host.key, insecure_skip_verify: true }
    static_configs: [{ targets: [${targets}] }]
  - job_name: rlnet-collector
    static_configs: [{ targets: ["127.0.0.1:9472"] }]
`,
    );
    const command = [
      '/usr/bin/prometheus',
      '--config.file=/etc/prometheus.yml',
      '--storage.tsdb.path=/run/prometheus',
      '--web.listen-address=127.0.0.1:9090',
    ];
    await n1.execOk(['systemd-run', '--quiet', '--unit=lab-prometheus', ...command]);
    await waitFor('four targets that are up', { timeoutMs: 60_000 }, async () => {
      const up = await ask('up').catch(() => []);
      return up.length === 4 && up.every(({ value: [, value] }) => value === '1') ? true : undefined;
    });
  });

  test('scrapes three agents with certificates on both sides and the collector on its loopback', async () => {
    const linked = await ask('sum by (host, node_uid) (rlnet_peer_linked)');
    expect(
      linked.map(({ metric, value: [, value] }) => `${metric['host']} ${metric['node_uid']} ${value}`).sort(),
    ).toEqual(['n1 1 2', 'n2 2 2', 'n3 3 2']);
    expect(await ask('rlnet_collector_connections')).toMatchObject([{ value: [expect.any(Number), '3'] }]);
    // Those without a certificate get nothing.
    const bare = await n2.exec([
      '/opt/rlnet/bin/node',
      '--input-type=module',
      '--eval',
      `process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; await fetch('https://${n1.address('external', 'ipv4')}:9473/metrics')`,
    ]);
    expect(bare.exitCode).not.toBe(0);
  });

  test('has what is broken as a metric and as an alert', async () => {
    await n2.execOk(['systemctl', 'stop', 'rlec_supervisor']);
    try {
      await waitFor('the alert', { timeoutMs: 60_000 }, async () => {
        const alerts = await ask(
          'ALERTS{alertname="RlnetFindingError", code="RS_UNIT_NOT_RUNNING", host="n2"}',
        );
        return alerts.length === 1 ? true : undefined;
      });
      expect(await ask('rlnet_rs_unit_active{host="n2"}')).toMatchObject([
        { value: [expect.any(Number), '0'] },
      ]);
    } finally {
      await n2.execOk(['systemctl', 'start', 'rlec_supervisor']);
    }
  });
});

test.runIf(full)('an rladmin that fails hides all that is not known of RS then', async () => {
  await n2.execOk(['touch', '/run/lab-rladmin-fails']);
  const began = performance.now();
  const { findings, at } = await watch.until('the rladmin that fails', (all) =>
    all.some(
      ({ host, code, evidence }) =>
        host === 'n2' && code === 'RS_NOT_ANSWERING' && evidence.includes('no quorum'),
    ),
  );
  report('RS_NOT_ANSWERING, at the collector', at - began);
  expect(findings.filter(({ host }) => host === 'n2')).toHaveLength(1);
  await n2.execOk(['rm', '/run/lab-rladmin-fails']);
  await watch.until('nothing', (all) => all.length === 0);
});
