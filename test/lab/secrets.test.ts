import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { installAgents } from '../support/lab/agent.ts';
import {
  bootstrap,
  credentials,
  credentialsFile,
  fingerprintOf,
  memberFingerprint,
  nodeIn,
  password,
  prepare,
  username,
} from '../support/lab/bootstrap.ts';
import { askCollector, reportingTo, startCollector } from '../support/lab/collector.ts';
import { downLab, type Host, type Lab, upLab } from '../support/lab/lab.ts';
import { waitFor } from '../support/lab/run.ts';
import { watchFrom } from '../support/lab/watch.ts';

/**
 * Secrets are planted: a password in a file and one that is typed, a wrong one, and the private keys of hosts and collector. Then everything is
 * done with them, and they are looked for in all that anybody can read: files, journals, processes, what commands print, what is reported. RS is the stand-in.
 */

const labName = 'test-secrets';
const wrong = 'Planted-wr0ng-51c9';
let lab: Lab;
let n1: Host;
let n2: Host;
/** Of the collector, which is no node. */
let n3: Host;
/** Each secret, in every form in which it could be seen. */
const secrets = new Map<string, string[]>();

const sampler = `#!/bin/sh
# What everybody on the host can read of its processes, all the time.
while :; do
  for process in /proc/[0-9]*; do cat "$process/cmdline" "$process/environ" 2>/dev/null; echo; done | tr '\\0' '\\n' >>/run/sampled
  sleep 0.02
done
`;

const basic = (secret: string): string => Buffer.from(`${username}:${secret}`).toString('base64');
/** A line in the middle of a key says enough. */
const lineOf = (pem: string): string => pem.split('\n')[1] ?? 'no key';

beforeAll(async () => {
  await downLab(labName);
  lab = await upLab({ name: labName, hosts: [{ external: ['ipv4'] }, { external: ['ipv4'] }, {}] });
  [n1, n2, n3] = [lab.host('n1'), lab.host('n2'), lab.host('n3')];
  await Promise.all([n1, n2].map((host) => prepare(host)));
  const ca = await installAgents([n1, n2], {
    cluster: 'secrets',
    family: 'ipv4',
    now: Date.now(),
    more: ['log:', '  level: debug', reportingTo(n3)],
  });
  await startCollector(n3, 'secrets', ca);
  for (const host of [n1, n2]) {
    await host.writeFile('/run/sampler', sampler, 0o755);
    await host.execOk(['systemd-run', '--quiet', '--unit=sampler', '/run/sampler']);
  }
  secrets.set('password', [password, basic(password)]);
  secrets.set('wrong password', [wrong, basic(wrong)]);
  for (const host of [n1, n2])
    secrets.set(`key of ${host.name}`, [lineOf(await host.readFile('/etc/rlnet/tls/host.key'))]);
  secrets.set('key of the collector', [lineOf(await n3.readFile('/etc/rlnet/collector/collector.key'))]);
  await using watch = await watchFrom(n1);
  await watch.until('both agents', ({ hosts }) =>
    hosts.some(({ host, link }) => host === 'n2' && link.status === 'connected'),
  );
}, 240_000);
afterAll(() => downLab(labName));

const over = (host: Host): string[] => [
  '--addr',
  host.address('internal', 'ipv4'),
  '--external',
  host.address('external', 'ipv4'),
];

/** Which secrets are in a text. */
const seenIn = (text: string): string[] =>
  [...secrets].flatMap(([name, forms]) => (forms.some((form) => text.includes(form)) ? [name] : []));

test('a cluster is made with a password from a file, and joined with one that is typed', {
  timeout: 240_000,
}, async () => {
  const own = await fingerprintOf(n1);
  const created = await bootstrap(n1, 'create', 'secrets.example.com', ...over(n1), '--fingerprint', own);
  expect(nodeIn(created)).toMatchObject({ uid: 1 });
  expect(seenIn(created.stdout)).toEqual([]);

  const address = n1.address('internal', 'ipv4');
  const theirs = await fingerprintOf(n2);
  const pins = ['--fingerprint', theirs, '--fingerprint', await memberFingerprint(n2, theirs, address)];
  await n2.writeFile(credentials, credentialsFile(username, wrong), 0o600);
  const refused = await bootstrap(n2, 'join', address, ...over(n2), ...pins);
  expect(refused.error?.code).toBe('RS_SIGN_IN_REFUSED');
  expect(seenIn(JSON.stringify(refused))).toEqual([]);

  // On a terminal of its own; what it prints shows what a person would see there.
  const command = ['rlnet', 'bootstrap', 'join', address, ...over(n2), ...pins].join(' ');
  const typed = await n2.exec(
    ['script', '--quiet', '--return', '--echo', 'never', '--command', command, '/dev/null'],
    { input: `${username}\n${password}\n`, timeoutMs: 120_000 },
  );
  expect(typed.stdout).toContain('Password: ');
  expect({ exitCode: typed.exitCode, seen: seenIn(typed.stdout) }, typed.stdout).toEqual({
    exitCode: 0,
    seen: [],
  });
  expect(typed.stdout).toContain('is a node now: node 2');
});

const commands = [
  'rlnet status',
  'rlnet check --all',
  'rlnet interfaces',
  'rlnet mesh',
  'rlnet bootstrap status',
  'rlnet external list',
  'rlnet external add 2 203.0.113.2',
  'rlnet export',
  'rlnet renumber list',
  'rlnet renumber plan 2 10.77.0.62/24 --accept-outage',
  'rlnet lock show',
  'rlnet config check',
  'rlnet tls show',
];

test('no command prints one of them, in either form', { timeout: 240_000 }, async () => {
  for (const host of [n1, n2])
    for (const command of commands)
      for (const form of command === 'rlnet config check' || command === 'rlnet tls show'
        ? ['']
        : ['', ' --json']) {
        const told = await host.exec([...`${command}${form}`.split(' ')], { timeoutMs: 90_000 });
        expect({ command, seen: seenIn(told.stdout + told.stderr) }).toEqual({ command, seen: [] });
        expect(told.stdout + told.stderr, command).not.toBe('');
      }
});

test('the collector has what happened, and none of them', async () => {
  const reported = await waitFor('the hosts to report', { timeoutMs: 60_000 }, async () => {
    const all = await Promise.all(
      ['hosts', 'findings', 'events'].map((what) => askCollector(n3, `/api/v1/${what}`)),
    ).catch(() => undefined);
    const text = JSON.stringify(all);
    return text.includes('"n1"') && text.includes('"n2"') ? text : undefined;
  });
  expect(seenIn(reported)).toEqual([]);
});

test('processes showed none of them while it was done, and show none now', async () => {
  for (const host of [n1, n2]) {
    await sleep(100);
    const sampled = await host.execOk(['cat', '/run/sampled']);
    // It did look, and at the right time.
    expect(sampled).toMatch(host === n1 ? /^create\nsecrets\.example\.com$/m : /^join\n/m);
    expect(sampled).toContain('PATH=');
    expect(seenIn(sampled)).toEqual([]);
    await host.execOk(['systemctl', 'stop', 'sampler']);
    await host.execOk(['rm', '/run/sampled']);
  }
});

test('no journal has one of them', async () => {
  for (const host of lab.hosts) {
    const journal = await host.execOk(['journalctl', '--no-pager', '--output=export']);
    expect(journal).toContain('rlnet');
    expect(seenIn(journal)).toEqual([]);
  }
});

test('no file has one of them but those that they were given in, and RS itself', {
  timeout: 120_000,
}, async () => {
  const places = ['/etc', '/home', '/opt/rlnet', '/root', '/run', '/srv', '/tmp', '/usr/share', '/var'];
  const given: Record<string, string[]> = {
    n1: [credentials, '/etc/rlnet/tls/host.key'],
    n2: [credentials, '/etc/rlnet/tls/host.key'],
    n3: ['/etc/rlnet/collector/collector.key'],
  };
  for (const host of lab.hosts) {
    const patterns = `${[...secrets.values()].flat().join('\n')}\n`;
    // Over standard input: on the command line they would be found in /proc, rightly. RS is in folders of its own, and keeps its own users.
    const find = `grep -rlaF -f - ${places.join(' ')} 2>/dev/null; true`;
    const found = (await host.execOk(['sh', '-c', find], { input: patterns, timeoutMs: 90_000 }))
      .split('\n')
      .filter((path) => path !== '' && !/^\/(etc|var)\/opt\/redislabs\//.test(path));
    expect(found.toSorted()).toEqual(given[host.name]?.toSorted());
  }
});
