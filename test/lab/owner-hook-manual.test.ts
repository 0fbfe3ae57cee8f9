import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAddress } from '../../src/protocol/address.ts';
import type { AddressChange } from '../../src/protocol/address-change.ts';
import { reversed } from '../../src/protocol/network-owner.ts';
import { compareSnapshots, describeDifference } from '../../src/protocol/network-snapshot.ts';
import { OwnerOnHost } from '../support/contracts/network-owner.ts';
import { type Lab, upLab } from '../support/lab/lab.ts';

/** Hosts whose network is in files of systemd-networkd, and whose addresses a program or a person changes. */

const example = readFileSync(new URL('../../docs/examples/network-hook', import.meta.url), 'utf8');

describe('an address that rlnet does not change itself', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await upLab({ name: 'owner-hook', hosts: [{}, {}] });
  });
  afterAll(() => lab?.down());

  const changeOn = (name: string): AddressChange => {
    const card = lab.host(name).plan.interfaces.find(({ network }) => network === 'internal');
    const from = card?.addresses[0];
    if (card === undefined || from === undefined) throw new Error(`${name} has no internal address`);
    return {
      link: { name: card.name, mac: card.mac },
      from,
      to: { ...from, address: parseAddress('10.77.0.121') },
    };
  };

  it('is changed by the example of a hook, lasts over a boot, and comes back byte for byte', async () => {
    const n1 = new OwnerOnHost(lab.host('n1'), 'hook');
    const change = changeOn('n1');
    await n1.host.writeFile('/etc/rlnet/network-hook', example, 0o755);
    const before = {
      kernel: await n1.snapshot(change.from.address),
      text: await n1.host.execOk(['cat', '/etc/systemd/network/10-eth0.network']),
    };
    expect(await n1.readBack(change)).toMatchObject({ files: 'from' });
    await n1.swap(change);
    for (let again = 0; again < 2; again++) {
      await n1.persist(change);
      await n1.activate(change);
    }
    expect(await n1.readBack(change)).toMatchObject({ files: 'to' });
    await n1.host.reboot({ addresses: false });
    const { addresses } = await n1.snapshot(change.to.address);
    expect(addresses.map(({ address }) => address)).not.toContain(change.from.address);
    for (let again = 0; again < 2; again++) {
      await n1.restore(change);
      await n1.activate(reversed(change));
    }
    expect(await n1.host.execOk(['cat', '/etc/systemd/network/10-eth0.network'])).toBe(before.text);
    const after = await n1.snapshot(change.from.address);
    expect(compareSnapshots(before.kernel, after).map(describeDifference)).toEqual([]);
    expect(await n1.host.execOk(['ls', '/etc/systemd/network'])).not.toContain('.new');
  });

  it('is waited for while a person changes it, and while a person changes it back', async () => {
    const n2 = new OwnerOnHost(lab.host('n2'), 'manual');
    const change = changeOn('n2');
    const { from, to } = change;
    const file = '/etc/systemd/network/10-eth0.network';
    expect((await n2.plan(change)).warnings).toContainEqual(
      expect.stringMatching(`^${file}:\\d+ names ${from.address}: Address=${from.address}/24$`),
    );
    const edit = (old: string, fresh: string) =>
      n2.host.execOk(['sh', '-euc', `sleep 3; sed -i 's/${old}\\//${fresh}\\//' ${file}`]);
    const takeUp = () =>
      n2.host.execOk(['sh', '-euc', 'sleep 3; networkctl reload; networkctl reconfigure eth0']);
    await Promise.all([n2.persist(change), edit(from.address, to.address)]);
    expect(await n2.readBack(change)).toMatchObject({ files: 'to' });
    await Promise.all([n2.activate(change), takeUp()]);
    const { addresses } = await n2.snapshot(to.address);
    expect(addresses.map(({ address }) => address)).not.toContain(from.address);
    await Promise.all([n2.restore(change), edit(to.address, from.address)]);
    await Promise.all([n2.activate(reversed(change)), takeUp()]);
    expect(await n2.readBack(change)).toMatchObject({ files: 'from' });
  });
});
