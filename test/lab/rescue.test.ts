import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RescueReport } from '../../src/protocol/renumbering/rescue.ts';
import { installAgents } from '../support/lab/agent.ts';
import { downLab, type Host, type Lab, upLab } from '../support/lab/lab.ts';
import { type Owner, owners } from '../support/lab/plan.ts';
import { waitFor } from '../support/lab/run.ts';
import { allWell, watchFrom } from '../support/lab/watch.ts';
import { full } from '../support/sampling.ts';
import { bootstrapStandin } from '../support/standin/bootstrap.ts';
import { installStandin } from '../support/standin/install.ts';

/**
 * What `rlnet rescue` prints is typed here, to the letter: on hosts with systemd, each owner of network configuration and the agent as its package installs it.
 * RS is the stand-in, which calls a silent node DOWN sooner.
 */

const patienceMs = 300_000;
const unit = 'rlec_supervisor.service';
const rladmin = '/opt/redislabs/bin/rladmin';
const fresh = '10.77.0.52';
const bootId = '/proc/sys/kernel/random/boot_id';

/** Where each keeps its files. */
const folders: Readonly<Record<Owner, string>> = {
  networkd: '/etc/systemd/network',
  NetworkManager: '/etc/NetworkManager/system-connections',
  netplan: '/etc/netplan',
  ifupdown: '/etc/network',
};

describe.each(full ? owners : (['networkd'] as const))('on hosts of %s', (owner) => {
  const labName = `test-rescue-${owner.toLowerCase()}`;
  let lab: Lab;
  let n1: Host;
  let n2: Host;

  beforeAll(async () => {
    await downLab(labName);
    lab = await upLab({ name: labName, hosts: [{ owner }, { owner }, { owner }] });
    [n1, n2] = [lab.host('n1'), lab.host('n2')];
    await Promise.all(lab.hosts.map((host) => installStandin(host, { settings: { downAfterMs: 4_000 } })));
    const nodes = lab.hosts.map((host) => ({
      host,
      addr: host.address('internal', 'ipv4'),
      externalAddr: host.addresses('external'),
    }));
    await bootstrapStandin(nodes, {
      clusterName: 'rescue.example',
      family: 'ipv4',
      databases: [{ name: 'orders', masters: 1, replication: true }],
    });
    await installAgents(lab.hosts, { cluster: 'rescue', family: 'ipv4', now: Date.now() });
    await wellFromN1();
  }, 240_000);
  afterAll(() => downLab(labName));

  async function wellFromN1(): Promise<void> {
    await using watch = await watchFrom(n1);
    await watch.until('everything well', allWell);
  }

  async function rescueOn(
    host: Host,
    ...options: string[]
  ): Promise<{ status: number; report: RescueReport }> {
    const { exitCode, stdout, stderr } = await host.exec(['rlnet', 'rescue', '--json', ...options]);
    if (stdout === '') throw new Error(`rlnet rescue ended with ${exitCode}: ${stderr}`);
    return { status: exitCode, report: JSON.parse(stdout) as RescueReport };
  }

  /** Types every command where it belongs, to a shell as a person would. */
  async function typeAll({ commands }: RescueReport): Promise<void> {
    const boot = (await n2.readFile(bootId)).trim();
    for (const { where, command } of commands) {
      const host = where === 'here' ? n2 : n1;
      const type = () => host.exec(['sh', '-c', command], { timeoutMs: patienceMs });
      let typed = await type();
      // As its reason says: again, once the agent of n2 has been silent for a minute.
      if (typed.stderr.includes('LOCK_HOLDER_ALIVE')) {
        typed = await waitFor('the lock to be given away', { timeoutMs: 90_000 }, async () => {
          const again = await type();
          return again.exitCode === 0 ? again : undefined;
        });
      }
      // The session may end with it.
      if (command === 'systemctl reboot') await booted(boot);
      else expect(typed.exitCode, `${host.name}: ${command}\n${typed.stdout}${typed.stderr}`).toBe(0);
    }
  }

  async function booted(before: string): Promise<void> {
    await waitFor('the boot', { timeoutMs: 120_000 }, async () => {
      // For a while the host is off, and says so.
      const said = await n2.exec(['cat', bootId]).catch(() => undefined);
      return said?.exitCode === 0 && said.stdout.trim() !== before ? true : undefined;
    });
  }

  async function nodeRow(): Promise<string> {
    const table = await n1.execOk([rladmin, 'status', 'nodes']);
    return table.split('\n').find((line) => /^\*?node:2 /.test(line)) ?? '';
  }

  /** The files of the network's owner, with mode and owner. */
  function networkFiles(): Promise<string> {
    return n2.execOk([
      'sh',
      '-c',
      `cd ${folders[owner]} && find . -type f | sort | xargs sh -c 'sha256sum "$@"; stat -c "%n %a %u:%g %Y" "$@"' sh`,
    ]);
  }

  /** Node 2 runs at its old address, for good, and the cluster is free for the next renumbering. */
  async function expectBack(files: string): Promise<void> {
    const old = n2.address('internal', 'ipv4');
    expect(await nodeRow()).toMatch(new RegExp(`${old.replaceAll('.', '\\.')} .* OK *$`));
    const kernel = await n2.execOk(['ip', '-o', 'addr']);
    expect(kernel).toContain(`${old}/24`);
    expect(kernel).not.toContain(fresh);
    expect(await networkFiles()).toBe(files);
    expect((await n2.execOk(['systemctl', 'is-enabled', unit])).trim()).toBe('enabled');
    expect((await n2.execOk(['systemctl', 'is-active', unit])).trim()).toBe('active');
    expect(await n2.execOk(['ls', '-A', '/var/lib/rlnet/dead-man'])).toBe('');
    expect(await n1.execOk(['rlnet', 'lock', 'show'])).toContain('nobody has the lock');
    expect(await rescueOn(n2)).toMatchObject({ status: 0, report: { state: 'nothing', commands: [] } });
  }

  async function start(): Promise<string> {
    const said = await n1.execOk(
      ['rlnet', 'renumber', 'start', '2', `${fresh}/24`, '--no-reboot', '--yes', '--json'],
      {
        timeoutMs: 90_000,
      },
    );
    return (JSON.parse(said) as { planId: string }).planId;
  }

  test.runIf(full)(
    'RS does not start at either address: rlnet stops, and once that is mended what is printed and an agent that lives end it',
    async () => {
      const files = await networkFiles();
      const planId = await start();
      await waitFor('the unit to be disabled', { timeoutMs: 120_000 }, async () => {
        const { stdout } = await n2.exec(['systemctl', 'is-enabled', unit]);
        return stdout.trim() === 'disabled' ? true : undefined;
      });
      const fault = `/etc/systemd/system/${unit}.d/fault.conf`;
      await n2.writeFile(fault, '[Service]\nExecStartPre=/bin/false\n', 0o644);
      await n2.execOk(['systemctl', 'daemon-reload']);
      const follow = () => n1.exec(['rlnet', 'renumber', 'follow', planId], { timeoutMs: patienceMs });
      expect((await follow()).exitCode).toBe(30);

      const { status, report } = await rescueOn(n2);
      expect(report).toMatchObject({ state: 'stopped', renumbering: { direction: 'back', step: 'start' } });
      expect(status).toBe(33);
      expect(report.commands.map(({ command }) => command)).toContain(
        `journalctl -b -u ${unit} -n 30 --no-pager`,
      );
      await n2.execOk(['rm', fault]);
      await n2.execOk(['systemctl', 'daemon-reload']);
      await typeAll(report);
      expect((await follow()).exitCode).toBe(31);
      await expectBack(files);
    },
    2 * patienceMs,
  );

  test(
    'an agent that is gone in the middle of the change, its journal damaged, its configuration and certificates lost: what is printed brings the node back',
    async () => {
      const files = await networkFiles();
      expect((await rescueOn(n2)).status).toBe(0);
      // On the host itself: between the files and the registration are a second or two.
      await using watcher = await n2.spawn([
        'sh',
        '-c',
        `until grep -qr ${fresh} ${folders[owner]}; do sleep 0.05; done; systemctl kill --signal=KILL rlnet; systemctl stop rlnet; echo gone`,
      ]);
      const planId = await start();
      await waitFor('the agent to be at work', { timeoutMs: 60_000 }, async () => {
        const { status, report } = await rescueOn(n2);
        return status === 32 && report.notes.join().includes(`renumber abort ${planId}`) ? true : undefined;
      });
      for await (const line of watcher.lines) if (line === 'gone') break;

      const journal = `/var/lib/rlnet/${planId}.ndjson`;
      await n2.execOk(['sed', '-i', '4s/"wall":/"wall": /', journal]);
      await n2.execOk(['rm', '-rf', '/etc/rlnet/tls']);
      await n2.writeFile('/etc/rlnet/agent.yaml', 'mesh: [', 0o644);
      process.stdout.write((await n2.exec(['rlnet', 'rescue'])).stdout);
      let { status, report } = await rescueOn(n2);
      expect(report).toMatchObject({ state: 'damaged', renumbering: { planId, nodeUid: 2 } });
      expect(report.notes.join()).toContain('/etc/rlnet/agent.yaml');
      expect(report.deadMan).toMatch(/^It acts in \d+ s/);
      if (status === 34) {
        // The watcher came late, and the registration is open: what is missing is found out as it says.
        const [, address = ''] = /node:2 +\S+ +(\S+)/.exec(await nodeRow()) ?? [];
        ({ status, report } = await rescueOn(n2, '--rs-address', address));
      }
      expect(status).toBe(33);
      await typeAll(report);
      await expectBack(files);
      expect(await n2.execOk(['ls', '/var/lib/rlnet'])).toContain(`${planId}.ndjson.by-hand`);
      if (!full) return;
      // Nothing is left that would act at a boot.
      await n2.reboot();
      await waitFor('node 2 to be OK after a boot', { timeoutMs: 120_000 }, async () =>
        / OK *$/.test(await nodeRow()) ? true : undefined,
      );
      await expectBack(files);
    },
    patienceMs,
  );
});
