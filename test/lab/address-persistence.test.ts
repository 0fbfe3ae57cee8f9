import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CheckReport } from '../../src/protocol/state.ts';
import { installAgents } from '../support/lab/agent.ts';
import { type Host, type Lab, upLab } from '../support/lab/lab.ts';
import { owners } from '../support/lab/plan.ts';
import { waitFor } from '../support/lab/run.ts';
import { bootstrapStandin } from '../support/standin/bootstrap.ts';
import { installStandin } from '../support/standin/install.ts';

const code = 'NETWORK_ADDRESS_NOT_PERSISTENT';

/** The agent in its sandbox, on nodes of each owner, with no setting but the defaults. */
describe('a node whose address is in no file of its owner', () => {
  let lab: Lab;
  let hosts: readonly Host[];
  beforeAll(async () => {
    lab = await upLab({ name: 'address-persistence', hosts: owners.map((owner) => ({ owner })) });
    hosts = owners.map((_owner, index) => lab.host(`n${index + 1}`));
    await Promise.all(hosts.map((host) => installStandin(host)));
    const nodes = hosts.map((host) => ({
      host,
      addr: host.address('internal', 'ipv4'),
      externalAddr: host.addresses('external'),
    }));
    await bootstrapStandin(nodes, { clusterName: 'files.example', family: 'ipv4' });
    await installAgents(hosts, { cluster: 'files', family: 'ipv4', now: Date.now() });
  });
  afterAll(() => lab?.down());

  const outcomeOn = (host: Host, wanted: string) =>
    waitFor(`${code} to be ${wanted} on ${host.name}`, { timeoutMs: 60_000 }, async () => {
      const { stdout } = await host.exec(['rlnet', 'check', '--json']);
      const { results } = JSON.parse(stdout) as CheckReport;
      const found = results.find((result) => result.code === code);
      return found?.outcome === wanted ? found.evidence : undefined;
    });

  it.concurrent.each(owners.map((owner, index) => ({ owner, index })))(
    'is found on a host of $owner, and no more when the file has it',
    async ({ index }) => {
      const host = hosts[index];
      if (host === undefined) throw new Error('no host');
      const address = host.address('internal', 'ipv4');
      expect(await outcomeOn(host, 'pass')).toMatch(new RegExp(`/etc/.*:\\d+ puts ${address} on eth0`));
      const files = ['/etc/systemd', '/etc/NetworkManager', '/etc/netplan', '/etc/network'];
      const edit = (from: string, to: string) =>
        host.execOk([
          'sh',
          '-c',
          `grep -rlF '${from}/24' "$@" | xargs sed -i 's|${from}/24|${to}/24|'`,
          'sh',
          ...files,
        ]);
      await edit(address, '10.77.0.250');
      expect(await outcomeOn(host, 'fail')).toContain(`${address} is on eth0 and in no file of its owner`);
      await edit('10.77.0.250', address);
      await outcomeOn(host, 'pass');
    },
  );
});
