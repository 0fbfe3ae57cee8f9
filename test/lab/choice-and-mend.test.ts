import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Choice } from '../../src/protocol/address-choice.ts';
import type { FixReport } from '../../src/protocol/state.ts';
import { installAgents } from '../support/lab/agent.ts';
import { downLab, type Host, type Lab, upLab } from '../support/lab/lab.ts';

const labName = 'test-choice';

/** Hosts that are no nodes yet, with the agent as its package installs it: what an operator does before a bootstrap. */
describe('hosts that are to become nodes', () => {
  let lab: Lab;
  let n1: Host;
  let n2: Host;

  beforeAll(async () => {
    await downLab(labName);
    lab = await upLab({
      name: labName,
      hosts: [
        { owner: 'networkd', internal: ['ipv6'], external: [], localhost6: false },
        { owner: 'NetworkManager', internal: ['ipv4'], external: ['ipv4', 'ipv6'], localhost6: false },
      ],
    });
    n1 = lab.host('n1');
    n2 = lab.host('n2');
    await installAgents([n1], { cluster: 'choice', family: 'ipv6', now: Date.now() });
    await installAgents([n2], { cluster: 'other', family: 'ipv4', now: Date.now() });
  });
  afterAll(() => downLab(labName));

  /** The second kind is seen by root with all capabilities alone. */
  const attributes = [
    ['user.note', 'ours'],
    ['trusted.note', 'theirs'],
  ] as const;

  const choiceOn = async (host: Host): Promise<Choice> => {
    const { choice } = JSON.parse(await host.execOk(['rlnet', 'interfaces', '--json'])) as { choice: Choice };
    return choice;
  };

  test('one address serves inside and outside', async () => {
    const only = n1.address('internal', 'ipv6');
    expect(await choiceOn(n1)).toMatchObject({
      choice: 'chosen',
      family: 'ipv6',
      internal: only,
      external: [only],
    });
    expect(await n1.execOk(['rlnet', 'interfaces'])).toContain(
      `\nchosen: internal ${only}, external ${only}\n`,
    );
  });

  test('of several the one that the seeds name is the internal one, and the other one is external', async () => {
    expect(await choiceOn(n2)).toMatchObject({
      choice: 'chosen',
      family: 'ipv4',
      internal: n2.address('internal', 'ipv4'),
      external: [n2.address('external', 'ipv4')],
    });
  });

  test('rlnet check --fix makes getent find ::1 for localhost, also after a restart of the host', async () => {
    const before = await n1.readFile('/etc/hosts');
    await n1.execOk([
      'python3',
      '-c',
      `import os; ${attributes.map(([name, value]) => `os.setxattr("/etc/hosts", "${name}", b"${value}")`).join('; ')}`,
    ]);
    await n1.execOk(['sh', '-c', 'chown daemon:mail /etc/hosts; chmod 664 /etc/hosts']);
    expect((await n1.exec(['rlnet', 'check'])).exitCode).toBe(20);
    const { stdout } = await n1.exec(['rlnet', 'check', '--fix', '--json']);
    const { fixed, results } = JSON.parse(stdout) as FixReport;
    const { change, note } = fixed.HOSTS_LOCALHOST_IPV6_MISSING ?? {};
    expect(note).toBeUndefined();
    expect(change).toMatchObject({ file: '/etc/hosts', how: 'renamed', after: '::1 localhost' });
    expect(results.find(({ code }) => code === 'HOSTS_LOCALHOST_IPV6_MISSING')?.outcome).toBe('pass');
    expect(await n1.readFile(change?.backup ?? '')).toBe(before);
    const after = await n1.readFile('/etc/hosts');
    expect(after.replace('::1 localhost\n', '')).toBe(before);
    expect(await n1.execOk(['getent', '-s', 'hosts:files', 'ahosts', 'localhost'])).toMatch(/^::1 /m);
    expect(await n1.execOk(['stat', '--format=%a %U %G', '/etc/hosts'])).toBe('664 daemon mail\n');
    for (const [name, value] of attributes)
      expect(
        await n1.execOk(['python3', '-c', `import os; print(os.getxattr("/etc/hosts", "${name}").decode())`]),
      ).toBe(`${value}\n`);

    await n1.exec(['rlnet', 'check', '--fix']);
    await n1.kill();
    await n1.start();
    expect(await n1.readFile('/etc/hosts')).toBe(after);
    expect(await n1.execOk(['ls', '/var/lib/rlnet/backups'])).toMatch(/^etc-hosts\.\d{8}T\d{6}Z\n$/);
  });

  test('a user who may only read may not have it mended', async () => {
    await n2.execOk(['useradd', '--groups', 'rlnet', 'reader']);
    const refused = await n2.exec(['runuser', '-u', 'reader', '--', 'rlnet', 'check', '--fix']);
    expect(refused.exitCode).toBe(4);
    expect(refused.stderr).toContain('NOT_PERMITTED');
    expect(await n2.readFile('/etc/hosts')).not.toContain('::1 localhost');
  });

  test('a hosts file that is mounted from elsewhere is mended where it is', async () => {
    await n2.execOk(['sh', '-ec', 'cp /etc/hosts /srv/hosts; mount --bind /srv/hosts /etc/hosts']);
    const { stdout } = await n2.exec(['rlnet', 'check', '--fix', '--json']);
    const { fixed } = JSON.parse(stdout) as FixReport;
    expect(fixed.HOSTS_LOCALHOST_IPV6_MISSING?.change).toMatchObject({ how: 'in_place' });
    expect(await n2.readFile('/srv/hosts')).toContain('::1 localhost\n');
    expect(await n2.execOk(['getent', '-s', 'hosts:files', 'ahosts', 'localhost'])).toMatch(/^::1 /m);
    await n2.execOk(['umount', '/etc/hosts']);
    expect(await n2.readFile('/etc/hosts')).not.toContain('::1 localhost');
  });

  test('a hosts file behind a symbolic link is mended there, and that cloud-init writes it anew is said', async () => {
    await n2.execOk(['sh', '-ec', 'mkdir /etc/site; mv /etc/hosts /etc/site/; ln -s site/hosts /etc/hosts']);
    await n2.writeFile('/etc/cloud/cloud.cfg.d/99-hosts.cfg', 'manage_etc_hosts: true\n');
    const { stdout } = await n2.exec(['rlnet', 'check', '--fix', '--json']);
    const { change, note } = (JSON.parse(stdout) as FixReport).fixed.HOSTS_LOCALHOST_IPV6_MISSING ?? {};
    expect(change).toMatchObject({ file: '/etc/site/hosts', how: 'renamed' });
    expect(note?.evidence).toContain('manage_etc_hosts: true in /etc/cloud/cloud.cfg.d/99-hosts.cfg');
    expect(await n2.execOk(['readlink', '/etc/hosts'])).toBe('site/hosts\n');
    expect(await n2.readFile('/etc/site/hosts')).toContain('::1 localhost\n');
  });

  test('a hosts file out of reach of the agent is as it was, and what would let it in is said', async () => {
    await n2.execOk([
      'sh',
      '-ec',
      'sed -i "/^::1 localhost$/d" /etc/site/hosts; mv /etc/site/hosts /srv/hosts; ln -sf /srv/hosts /etc/hosts',
    ]);
    const before = await n2.readFile('/srv/hosts');
    const { exitCode, stderr } = await n2.exec(['rlnet', 'check', '--fix']);
    expect(exitCode).not.toBe(0);
    expect(stderr).toMatch(/FILE_NOT_EDITABLE.*ReadWritePaths=/s);
    expect(await n2.readFile('/srv/hosts')).toBe(before);
  });
});
