import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PlanReport } from '../../src/protocol/renumbering/request.ts';
import { installAgents } from '../support/lab/agent.ts';
import { downLab, type Host, type Lab, upLab } from '../support/lab/lab.ts';
import { repository } from '../support/lab/software.ts';
import { allWell, watchFrom } from '../support/lab/watch.ts';
import { bootstrapStandin } from '../support/standin/bootstrap.ts';
import { installStandin } from '../support/standin/install.ts';

/** A program of the operator's that changes addresses, run by an agent in the sandbox of its unit, as it is for all who install it. */

const labName = 'test-hook';
const example = '/usr/share/doc/rlnet/examples/network-hook';
const patienceMs = 240_000;

let lab: Lab;
let n1: Host;
let n2: Host;

beforeAll(async () => {
  await downLab(labName);
  lab = await upLab({ name: labName, hosts: [{}, {}, {}] });
  [n1, n2] = [lab.host('n1'), lab.host('n2')];
  await Promise.all(lab.hosts.map((host) => installStandin(host)));
  const nodes = lab.hosts.map((host) => ({ host, addr: host.address('internal', 'ipv6'), externalAddr: [] }));
  await bootstrapStandin(nodes, { clusterName: 'hook.example', family: 'ipv6' });
  await installAgents(lab.hosts, { cluster: 'hook', family: 'ipv6', now: Date.now() });
});
afterAll(() => downLab(labName));

test(
  'the hook that the package brings as an example changes the address of a node, outside of the sandbox',
  async () => {
    expect(await n2.readFile(example)).toBe(
      readFileSync(join(repository, 'docs/examples/network-hook'), 'utf8'),
    );
    // What a hook may need and the agent may not have: a home directory, and to write below /usr.
    const traces = 'echo "$$" >>/usr/local/hook-was-here; ls /root >/dev/null\n';
    const hook = (await n2.readFile(example)).replace('set -eu\n', () => `set -eu\n${traces}`);
    await n2.writeFile('/etc/rlnet/network-hook', hook, 0o755);
    const settings = await n2.readFile('/etc/rlnet/agent.yaml');
    const network = 'network:\n  owner: hook\n  hook: /etc/rlnet/network-hook\n';
    await n2.writeFile('/etc/rlnet/agent.yaml', `${settings}${network}`);
    await n2.execOk(['systemctl', 'restart', 'rlnet']);
    await using watch = await watchFrom(n1);
    await watch.until('everything well', allWell);

    const [old, fresh] = [n2.address('internal', 'ipv6'), 'fd77:0:0:1::52'];
    const planned = await n1.exec(['rlnet', 'renumber', 'plan', '2', `${fresh}/64`, '--no-reboot', '--json']);
    expect(planned.exitCode, planned.stdout + planned.stderr).toBe(0);
    const { plan } = JSON.parse(planned.stdout) as PlanReport;
    expect(plan).toMatchObject({ host: 'n2', owner: 'hook' });
    await n1.execOk(['rlnet', 'renumber', 'start', plan?.id ?? '']);
    const follow = ['rlnet', 'renumber', 'follow', plan?.id ?? ''];
    const followed = await n1.exec(follow, { timeoutMs: patienceMs });
    expect(followed.exitCode, followed.stdout + followed.stderr).toBe(0);

    await watch.until('everything well at the new address', (view) => {
      const state = view.hosts.find(({ host }) => host === 'n2')?.state;
      return allWell(view) && state?.internalAddress === fresh;
    });
    const file = await n2.readFile('/etc/systemd/network/10-eth0.network');
    expect(file).toContain(`Address=${fresh}/64\n`);
    expect(file).not.toContain(`Address=${old}/64\n`);
    expect(await n2.execOk(['cat', '/usr/local/hook-was-here'])).toMatch(/^\d/);
    // The agent itself was in its sandbox all the while.
    const pid = (await n2.execOk(['systemctl', 'show', '-P', 'MainPID', 'rlnet'])).trim();
    const status = await n2.readFile(`/proc/${pid}/status`);
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
    expect(status).toMatch(/^Seccomp:\t2$/m);
  },
  patienceMs,
);
