import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import * as v from 'valibot';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { maxLocalMessageBytes } from '../../../src/protocol/messages.ts';
import { type ClusterView, clusterViewSchema } from '../../../src/protocol/state.ts';
import { createAuthority } from '../../support/agents.ts';
import {
  type AgentHome,
  createCluster,
  type Enter,
  type RunningAgent,
  reportOf,
  rlnet,
  rsSettings,
  startAgent,
  startRlnet,
} from '../../support/cli.ts';
import { isRoot, openNetworkNamespace } from '../../support/netns.ts';

const host = await createCluster('demo', Date.now());

async function viewOf({ runtime }: AgentHome): Promise<ClusterView> {
  const { stdout, stderr } = await rlnet(['status', '--json', '--runtime-directory', runtime]);
  if (stderr !== '') throw new Error(stderr);
  return v.parse(clusterViewSchema, JSON.parse(stdout));
}

function openSocket({ runtime }: AgentHome): Promise<Socket> {
  const socket = createConnection(`${runtime}/agent.sock`);
  onTestFinished(() => {
    socket.destroy();
  });
  return new Promise((resolve, reject) => {
    socket.once('connect', () => resolve(socket));
    socket.once('error', reject);
  });
}

function closed(socket: Socket): Promise<void> {
  socket.resume();
  socket.on('error', () => {});
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

function request(method: string): string {
  return `${JSON.stringify({ type: 'request', id: '1', method, params: {} })}\n`;
}

describe('an agent', () => {
  test('ends on SIGTERM without a fault, and leaves no sockets', async () => {
    const home = await host('n1');
    const agent = await startAgent(home);
    expect(existsSync(`${home.runtime}/agent.sock`)).toBe(true);
    expect(existsSync(`${home.runtime}/read.sock`)).toBe(true);
    expect(await agent.stop()).toMatchObject({ exitCode: 0, stderr: '' });
    expect(existsSync(`${home.runtime}/agent.sock`)).toBe(false);
    expect(existsSync(`${home.runtime}/read.sock`)).toBe(false);
    expect(agent.said.stdout).toContain('agent stopped: SIGTERM');
  });

  test('that is under a watchdog does not wait for its next beat to end', async () => {
    const aMinute: Enter = (argv) => ['env', 'WATCHDOG_USEC=60000000', ...argv];
    const agent = await startAgent(await host('n1'), aMinute);
    const ended = await Promise.race([
      agent.stop(),
      new Promise((resolve) => setTimeout(resolve, 5_000, 'still there')),
    ]);
    expect(ended).toMatchObject({ exitCode: 0 });
  });

  test('is not started a second time, and the first one goes on', async () => {
    const home = await host('n1');
    await startAgent(home);
    const second = await rlnet(['agent', '--config', home.config]);
    expect(second).toMatchObject({ exitCode: 5, stdout: '' });
    expect(second.stderr).toMatch(
      /^rlnet: AGENT_ALREADY_RUNNING: An agent listens on \S+agent\.sock already\./,
    );
    expect((await viewOf(home)).seenFrom).toBe('n1');
  });

  test('takes the place of one that was killed', async () => {
    const home = await host('n1');
    const killed = await startAgent(home);
    killed.child.kill('SIGKILL');
    await killed.ended;
    expect(existsSync(`${home.runtime}/agent.sock`)).toBe(true);
    await startAgent(home);
    expect((await viewOf(home)).seenFrom).toBe('n1');
  });

  test('knows no node of another name, and says which it knows', async () => {
    const home = await host('n1');
    await startAgent(home);
    for (const command of ['interfaces', 'check']) {
      const ended = await rlnet([command, '7', '--json', '--runtime-directory', home.runtime]);
      expect(ended).toMatchObject({ exitCode: 5, stdout: '' });
      expect(reportOf(ended)).toMatchObject({ code: 'PEER_UNKNOWN', remedy: 'Known here: n1.' });
    }
  });

  test('is asked without a fault by a command whose reader has gone, as head(1) goes', async () => {
    const home = await host('n1');
    await startAgent(home);
    const { child, ended } = await startRlnet(['status', '--runtime-directory', home.runtime]);
    child.stdout?.destroy();
    expect(await ended).toEqual({ exitCode: 0, stdout: '', stderr: '' });
  });

  test('that ends makes a watching command end, with a status that says so', async () => {
    const home = await host('n1');
    const agent = await startAgent(home);
    const { child, ended } = await startRlnet(['status', '--watch', '--runtime-directory', home.runtime]);
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    await agent.stop();
    expect(await ended).toMatchObject({ exitCode: 5 });
  });
});

describe('the control socket', () => {
  test.for([
    ['garbage', 'nonsense\n'],
    ['JSON that is no message', '[1,2,3]\n'],
    ['a message that is no request', `${JSON.stringify({ type: 'ping', nonce: 'x' })}\n`],
    ['a request without an id', `${JSON.stringify({ type: 'request', method: 'status' })}\n`],
    ['a line that is too long', `${'x'.repeat(maxLocalMessageBytes + 1)}\n`],
    ['a line that never ends', 'x'.repeat(2 * maxLocalMessageBytes)],
  ] as const)('closes on %s, and the agent goes on', async ([, text]) => {
    const home = await host('n1');
    await startAgent(home);
    const socket = await openSocket(home);
    socket.write(text);
    await closed(socket);
    expect((await viewOf(home)).seenFrom).toBe('n1');
  });

  test('ignores half a line of somebody who leaves', async () => {
    const home = await host('n1');
    await startAgent(home);
    const socket = await openSocket(home);
    socket.end('{"type":"requ');
    await closed(socket);
    expect((await viewOf(home)).seenFrom).toBe('n1');
  });

  test('ignores a type that it does not know, and answers a method that it does not know', async () => {
    const home = await host('n1');
    await startAgent(home);
    const socket = await openSocket(home);
    const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
    socket.write('{"type":"from-a-newer-version"}\n');
    socket.write(request('destroy'));
    const { value } = await lines.next();
    expect(JSON.parse(`${value}`)).toMatchObject({
      type: 'response',
      id: '1',
      error: { code: 'METHOD_UNKNOWN' },
    });
  });

  test('takes a request in pieces, and two in one piece', async () => {
    const home = await host('n1');
    await startAgent(home);
    const socket = await openSocket(home);
    const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
    const text = request('status');
    socket.write(text.slice(0, 20));
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.write(text.slice(20) + text);
    for (const line of [await lines.next(), await lines.next()])
      expect(JSON.parse(`${line.value}`)).toMatchObject({
        type: 'response',
        id: '1',
        result: { seenFrom: 'n1' },
      });
  });

  test('refuses the hundredth connection and not the agent, and recovers when they go', async () => {
    const home = await host('n1');
    await startAgent(home);
    const sockets = await Promise.all(Array.from({ length: 100 }, () => openSocket(home)));
    let gone = 0;
    for (const socket of sockets) void closed(socket).then(() => (gone += 1));
    await vi.waitFor(() => expect(gone).toBeGreaterThan(0), { timeout: 5_000 });
    expect(gone).toBeLessThan(100);
    const full = await rlnet(['status', '--json', '--runtime-directory', home.runtime]);
    expect(full.exitCode).toBe(5);
    expect(reportOf(full).code).toBe('AGENT_NOT_RUNNING');
    for (const socket of sockets) socket.destroy();
    await vi.waitFor(async () => expect((await viewOf(home)).seenFrom).toBe('n1'), { timeout: 5_000 });
  });

  test('is no trap: the agent goes on while somebody asks and never reads', async () => {
    const home = await host('n1');
    await startAgent(home);
    const socket = await openSocket(home);
    socket.pause();
    // More answers than the buffers of the kernel hold.
    for (let count = 0; count < 2_000; count += 1) socket.write(request('status'));
    expect((await viewOf(home)).seenFrom).toBe('n1');
  });

  test('lets nobody who never reads keep the agent from ending', async () => {
    const home = await host('n1');
    const agent = await startAgent(home);
    const socket = await openSocket(home);
    socket.pause();
    for (let count = 0; count < 2_000; count += 1) socket.write(request('status'));
    await viewOf(home);
    const ended = await Promise.race([
      agent.stop(),
      new Promise((resolve) => setTimeout(resolve, 3_000, 'still there')),
    ]);
    expect(ended).toMatchObject({ exitCode: 0 });
  });
});

const table = `CLUSTER NODES:
NODE:ID ROLE   ADDRESS EXTERNAL_ADDRESS HOSTNAME   SHARDS CORES FREE_RAM      PROVISIONAL_RAM VERSION   STATUS
node:1  master fd95::1 192.0.2.1        first.lan  2/100  4     12.05GB/15.3GB 9.2GB/12GB     6.2.10-90 OK
node:2  slave  fd95::2 192.0.2.2        second.lan 2/100  4     12.05GB/15.3GB 9.2GB/12GB     6.2.10-90 OK
node:4  slave  fd95::4 192.0.2.4        fourth.lan 2/100  4     12.05GB/15.3GB 9.2GB/12GB     6.2.10-90 DOWN, last seen 12 days ago
`;

// Root for a network namespace, in which loopback has addresses that peers can use.
describe.skipIf(!isRoot)('two agents', () => {
  async function pair(): Promise<{ homes: [AgentHome, AgentHome]; agents: RunningAgent[]; enter: Enter }> {
    const namespace = await openNetworkNamespace();
    onTestFinished(() => namespace[Symbol.asyncDispose]());
    await namespace.ip('addr add fd95::1/128 dev lo\naddr add fd95::2/128 dev lo');
    const enter: Enter = (argv) => ['nsenter', `--net=/proc/${namespace.pid}/ns/net`, '--', ...argv];
    const homes: [AgentHome, AgentHome] = [await host('n1'), await host('n2')];
    const agents: RunningAgent[] = [];
    for (const [index, home] of homes.entries()) {
      await home.configure(await rsSettings(home.directory, index + 1, table));
      agents.push(await startAgent(home, enter));
    }
    for (const home of homes) {
      await vi.waitFor(
        async () => {
          const { hosts, rs } = await viewOf(home);
          expect(rs).toHaveProperty('nodes');
          expect(hosts.map(({ state }) => state?.nodeUid)).toEqual([1, 2]);
          expect(hosts.some(({ link }) => link.status === 'connected')).toBe(true);
        },
        { timeout: 10_000, interval: 100 },
      );
    }
    return { homes, agents, enter };
  }

  test('see each other over TLS; the text shows nothing that --json lacks', {
    timeout: 180_000,
  }, async () => {
    const { homes } = await pair();
    const [{ runtime }] = homes;
    const at = ['--runtime-directory', runtime];

    const elsewhere = await rlnet(['check', '2', '--fix', '--json', ...at]);
    expect(elsewhere).toMatchObject({ exitCode: 4, stdout: '' });
    expect(reportOf(elsewhere)).toMatchObject({ code: 'LOCAL_ONLY', remedy: 'Run it on n2.' });

    await sameInBoth(['status', ...at], (text, data) => {
      expect(data).toMatchObject({ cluster: 'demo', seenFrom: 'n1', internalFamily: 'ipv6' });
      expect(text).toMatch(/^4 .*fourth\.lan.*DOWN, last seen 12 days ago.*no agent seen/m);
    });
    for (const [node, name] of [
      [[], 'n1'],
      [['2'], 'n2'],
      [['n2'], 'n2'],
    ] as const) {
      await sameInBoth(['interfaces', ...node, ...at], (text, data) => {
        expect(data).toMatchObject({ host: name });
        expect(text).toContain('fd95::1/128');
      });
    }
    for (const node of [1, 2]) {
      await sameInBoth(['check', `${node}`, ...at], (_, data, exitCode) => {
        // Its unit is not there, or systemd is not: an error or an unknown answer, and neither is 0.
        expect([10, 20]).toContain(exitCode);
        expect(data).toMatchObject({ host: `n${node}`, nodeUid: node });
        expect(data).toHaveProperty(
          'results',
          expect.arrayContaining([
            expect.objectContaining({ code: 'INTERNAL_ADDRESS_NOT_BOUND', outcome: 'pass' }),
          ]),
        );
      });
    }
  });

  test('tell each other when one ends, at once and with the reason', { timeout: 60_000 }, async () => {
    const { homes, agents } = await pair();
    await agents[1]?.stop();
    await vi.waitFor(async () => {
      const { hosts } = await viewOf(homes[0]);
      expect(hosts.find(({ host: name }) => name === 'n2')?.link).toMatchObject({
        status: 'disconnected',
        reason: expect.stringContaining('SIGTERM'),
      });
    });
    const ended = await rlnet(['interfaces', '2', '--json', '--runtime-directory', homes[0].runtime]);
    expect(ended.exitCode).toBe(5);
    expect(reportOf(ended).code).toBe('PEER_UNREACHABLE');
  });

  test('take up new certificates, a second CA and the deny-list as the files change, and lose no link but a denied one', {
    timeout: 60_000,
  }, async () => {
    const { homes, agents, enter } = await pair();
    const says = (agent: RunningAgent | undefined, words: string, times = 1) =>
      vi.waitFor(() => expect(agent?.said.stdout.split(words)).toHaveLength(times + 1), {
        timeout: 10_000,
        interval: 20,
      });
    const takenUp = 'took up the certificates anew';
    const [n1, n2] = agents;

    const next = await (await createAuthority('demo', Date.now()))('n2');
    for (const { tls } of homes) await appendFile(tls.ca, next.ca);
    await Promise.all([says(n1, takenUp), says(n2, takenUp)]);
    await writeFile(homes[1].tls.key, next.key);
    await writeFile(homes[1].tls.certificate, next.certificate);
    await says(n2, takenUp, 2);
    for (const { said } of agents) expect(said.stdout).not.toContain('link lost');

    await n2?.stop();
    await says(n1, 'link lost');
    const again = await startAgent(homes[1], enter);
    await says(again, 'link up');
    await writeFile(homes[0].tls.denied, `${new X509Certificate(next.certificate).serialNumber}\n`);
    await says(n1, 'refused a peer: its certificate is on the deny-list');
    await says(again, 'link lost: denied: its certificate is on the deny-list');
  });

  test('remember each other, so that one finds its peer while RS is silent', {
    timeout: 60_000,
  }, async () => {
    const { homes, agents, enter } = await pair();
    await agents[1]?.stop();
    const remembered = JSON.parse(
      await readFile(`${homes[1].directory}/state/identity.json`, 'utf8'),
    ) as unknown;
    expect(remembered).toMatchObject({
      nodeUid: 2,
      internalAddress: 'fd95::2',
      peers: [{ host: 'n1', address: 'fd95::1' }],
    });
    await homes[1].configure(`rs:\n  rladmin: ${homes[1].directory}/none\n`);
    await startAgent(homes[1], enter);
    await vi.waitFor(
      async () => {
        const { hosts, rs } = await viewOf(homes[1]);
        expect(rs).toHaveProperty('unknown');
        expect(hosts.find(({ host: name }) => name === 'n1')?.link.status).toBe('connected');
      },
      { timeout: 10_000, interval: 100 },
    );
  });
});

// Root for a mount namespace, in which /etc/hosts is a file of the test's.
describe.skipIf(!isRoot)('rlnet check --fix', () => {
  async function hostWith(
    hosts: string,
    configuration = '',
  ): Promise<{ home: AgentHome; hostsPath: string }> {
    const home = await host('n1', configuration);
    const hostsPath = `${home.directory}/hosts`;
    await writeFile(hostsPath, hosts);
    const script = 'mount --bind "$0" /etc/hosts && exec "$@"';
    await startAgent(home, (argv) => ['unshare', '--mount', 'sh', '-c', script, hostsPath, ...argv]);
    return { home, hostsPath };
  }
  const fix = ({ runtime }: AgentHome, ...args: string[]) =>
    rlnet(['check', '--fix', ...args, '--runtime-directory', runtime]);

  test('mends the hosts file, shows what it changed, and has nothing to mend after that', async () => {
    const { home, hostsPath } = await hostWith('127.0.0.1 localhost\n::1 ip6-localhost # v6\n');
    const { stdout } = await fix(home);
    expect(stdout).toMatch(
      /^HOSTS_LOCALHOST_IPV6_MISSING: mended in \/etc\/hosts, line 2 \(in place\)\n {2}- ::1 ip6-localhost # v6\n {2}\+ ::1 ip6-localhost localhost # v6\n {2}as it was before: (\S+)\n\nchecks of n1/,
    );
    expect(stdout).toMatch(/^pass +HOSTS_LOCALHOST_IPV6_MISSING +line 2: ::1 ip6-localhost localhost$/m);
    expect(await readFile(hostsPath, 'utf8')).toBe('127.0.0.1 localhost\n::1 ip6-localhost localhost # v6\n');
    const [, backup = ''] = /as it was before: (\S+)/.exec(stdout) ?? [];
    expect(await readFile(backup, 'utf8')).toBe('127.0.0.1 localhost\n::1 ip6-localhost # v6\n');
    expect((await fix(home)).stdout).toMatch(/^nothing to mend\n\nchecks of n1/);
  });

  test('says the same as JSON', async () => {
    const { home } = await hostWith('127.0.0.1 localhost\n');
    const { stdout } = await fix(home, 'n1', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      host: 'n1',
      fixed: {
        HOSTS_LOCALHOST_IPV6_MISSING: {
          change: { file: '/etc/hosts', how: 'in_place', line: 2, after: '::1 localhost' },
        },
      },
      results: expect.arrayContaining([
        expect.objectContaining({ code: 'HOSTS_LOCALHOST_IPV6_MISSING', outcome: 'pass' }),
      ]),
    });
  });

  test('changes nothing where the agent only observes', async () => {
    const { home, hostsPath } = await hostWith('127.0.0.1 localhost\n', 'mode: observe\n');
    const refused = await fix(home, '--json');
    expect(refused).toMatchObject({ exitCode: 4, stdout: '' });
    expect(reportOf(refused).code).toBe('MODE_OBSERVE');
    expect(await readFile(hostsPath, 'utf8')).toBe('127.0.0.1 localhost\n');
  });

  test('mends nothing on a host that is not this one', async () => {
    const { home } = await hostWith('127.0.0.1 localhost\n');
    expect(reportOf(await fix(home, 'n7', '--json')).code).toBe('PEER_UNKNOWN');
  });
});

/** Words of the program's own, which are no data: headers, and what stands for an absence or a state. */
const own =
  /^(?:[A-Z0-9:/]+|cluster|internal|external|family|seen|from|this|host|no|agent|linked|link|for|not|a|node|checks|because|of|interfaces|nothing|to|do|in|active|usable|findings|and|more|valid|preferred|label|unknown|applicable|address|the|scope|choose|\d+[smhd]|-)$/;

/** Every word that a table shows, but for the program's own, stands in the JSON: nobody has to scrape the text. */
function expectAllInJson(text: string, data: unknown): void {
  const inJson = JSON.stringify(data);
  const missing = text
    .split(/[\s,;()]+/)
    .map((word) => word.replace(/:$/, ''))
    .filter((word) => word !== '' && !own.test(word))
    // An address with its prefix length is two values there.
    .filter((word) => !inJson.includes(word.replace(/\/\d+$/, '')));
  expect(missing).toEqual([]);
}

/** Runs a command for people and for programs, until what it says did not change between the two; then looks at it. */
async function sameInBoth(
  args: readonly string[],
  look: (text: string, data: unknown, exitCode: number | null) => void,
): Promise<void> {
  await vi.waitFor(
    async () => {
      const text = await rlnet(args);
      const asJson = await rlnet([...args, '--json']);
      expect(asJson.exitCode).toBe(text.exitCode);
      const data: unknown = JSON.parse(asJson.stdout);
      expectAllInJson(text.stdout, data);
      look(text.stdout, data, text.exitCode);
    },
    { timeout: 40_000, interval: 100 },
  );
}
