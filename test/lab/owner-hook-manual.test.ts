import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { type Address, parseAddress } from '../../src/protocol/address.ts';
import type { AddressChange } from '../../src/protocol/address-change.ts';
import { reversed } from '../../src/protocol/network-owner.ts';
import { compareSnapshots, describeDifference } from '../../src/protocol/network-snapshot.ts';
import { type Contract, contractsInLab, type OwnerOnHost } from '../support/contracts/network-owner.ts';
import { waitFor } from '../support/lab/run.ts';

/** Addresses that rlnet does not change itself: a program or a person does, or nobody can. */

const example = readFileSync(new URL('../../docs/examples/network-hook', import.meta.url), 'utf8');
const file = '/etc/systemd/network/10-eth0.network';

function changeOn({ host }: OwnerOnHost): AddressChange {
  const card = host.plan.interfaces.find(({ network }) => network === 'internal');
  const from = card?.addresses[0];
  if (card === undefined || from === undefined) throw new Error(`${host.name} has no internal address`);
  return {
    link: { name: card.name, mac: card.mac },
    from,
    to: { ...from, address: parseAddress('10.77.0.121') },
  };
}

const hook: Contract = {
  title: 'an address that a program changes',
  kind: 'hook',
  hosts: [{}],
  tests: (host) => {
    it('is changed by the example of a hook, lasts over a boot, and comes back byte for byte', async () => {
      const n1 = host();
      const change = changeOn(n1);
      await n1.host.writeFile('/etc/rlnet/network-hook', example, 0o755);
      const before = {
        kernel: await n1.snapshot(change.from.address),
        text: await n1.host.execOk(['cat', file]),
      };
      expect(await n1.readBack(change)).toMatchObject({ files: 'from' });
      await n1.swap(change);
      await n1.inOneGo(change, 'persist', 'activate', 'persist', 'activate');
      expect(await n1.readBack(change)).toMatchObject({ files: 'to' });
      await n1.host.reboot({ addresses: false });
      const { addresses } = await n1.snapshot(change.to.address);
      expect(addresses.map(({ address }) => address)).not.toContain(change.from.address);
      for (let again = 0; again < 2; again++) {
        await n1.restore(change);
        await n1.activate(reversed(change));
      }
      expect(await n1.host.execOk(['cat', file])).toBe(before.text);
      const after = await n1.snapshot(change.from.address);
      expect(compareSnapshots(before.kernel, after).map(describeDifference)).toEqual([]);
      expect(await n1.host.execOk(['ls', '/etc/systemd/network'])).not.toContain('.new');
    });
  },
};

const manual: Contract = {
  title: 'an address that a person changes',
  kind: 'manual',
  hosts: [{}],
  tests: (host) => {
    it('is waited for while it is changed, and while it is changed back', async () => {
      const n1 = host();
      const change = changeOn(n1);
      const { from, to } = change;
      expect((await n1.plan(change)).warnings).toContainEqual(
        expect.stringMatching(`^${file}:\\d+ names ${from.address}: Address=${from.address}/24$`),
      );
      const edit = (old: string, fresh: string) =>
        n1.sh(`sleep 2; sed -i 's/${old}\\//${fresh}\\//' ${file}`);
      const takeUp = () => n1.sh('sleep 2; networkctl reload; networkctl reconfigure eth0');
      await Promise.all([n1.persist(change), edit(from.address, to.address)]);
      expect(await n1.readBack(change)).toMatchObject({ files: 'to' });
      await Promise.all([n1.activate(change), takeUp()]);
      const { addresses } = await n1.snapshot(to.address);
      expect(addresses.map(({ address }) => address)).not.toContain(from.address);
      await Promise.all([n1.restore(change), edit(to.address, from.address)]);
      await Promise.all([n1.activate(reversed(change)), takeUp()]);
      expect(await n1.readBack(change)).toMatchObject({ files: 'from' });
    });
  },
};

/** What gives out addresses on the internal network: leases of DHCP, and a prefix. */
const giver = [
  '[Match]',
  'Name=eth0',
  '[Network]',
  'Address=10.77.0.200/24',
  'DHCPServer=yes',
  'IPv6SendRA=yes',
  '[DHCPServer]',
  'PoolOffset=210',
  'PoolSize=20',
  '[IPv6Prefix]',
  'Prefix=fd99:0:0:1::/64',
  '',
].join('\n');

/** Files that make an owner take what is given. */
const takers = {
  'systemd-networkd': {
    path: file,
    text: '[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n',
    takeUp: 'networkctl reload',
  },
  NetworkManager: {
    path: '/etc/NetworkManager/system-connections/eth0.nmconnection',
    text: '[connection]\nid=eth0\ntype=ethernet\ninterface-name=eth0\n[ipv4]\nmethod=auto\n[ipv6]\nmethod=auto\naddr-gen-mode=eui64\n',
    takeUp:
      'nmcli connection load /etc/NetworkManager/system-connections/eth0.nmconnection; nmcli connection up eth0',
  },
};

const given: Contract = {
  title: 'an address that somebody else gives out',
  kind: 'systemd-networkd',
  hosts: [{}, {}, { owner: 'NetworkManager' }],
  wired: true,
  tests: (host) => {
    it.each([
      ['systemd-networkd', 1],
      ['NetworkManager', 2],
    ] as const)('is refused with what says so, on a host of %s', async (owner, nth) => {
      const [router, n1] = [host(), host(nth)];
      await router.host.writeFile(file, giver);
      await router.host.execOk(['networkctl', 'reload']);
      const { path, text, takeUp } = takers[owner];
      await n1.host.writeFile(path, text, owner === 'NetworkManager' ? 0o600 : 0o644);
      await n1.sh(takeUp);
      for (const [start, says, remedy] of [
        ['10.77.0.2', 'is dynamic on eth0, a lease', 'DHCP server'],
        ['fd99:', 'is dynamic on eth0, made of a router advertisement', 'static address'],
      ] as const) {
        const address = await waitFor(
          `an address ${start}… on ${n1.host.name}`,
          { timeoutMs: 60_000 },
          async () =>
            (await n1.snapshot()).addresses.find(
              (each) =>
                each.link === 'eth0' && each.address.startsWith(start) && each.flags.includes('dynamic'),
            ),
        );
        expect(await n1.detect({ ...changeOn(n1), from: address })).toMatchObject({
          kind: 'refused',
          error: {
            code: 'OWNER_NOT_EDITABLE',
            message: expect.stringContaining(`${address.address} ${says}`),
            remedy: expect.stringMatching(`${remedy}.*network.owner: hook or manual`),
          },
        });
      }
    });
  },
};

const unclear: Contract = {
  title: 'an address whose owner is not one alone, or none',
  kind: 'systemd-networkd',
  hosts: [{}],
  tests: (host) => {
    const refusalOf = async (n1: OwnerOnHost, address: Address): Promise<unknown> => {
      const change = changeOn(n1);
      const verdict = await n1.detect({ ...change, from: { ...change.from, address } });
      return verdict.kind === 'refused' ? verdict.error : verdict;
    };

    it('is refused with all that speak for it', async () => {
      const n1 = host();
      const { from } = changeOn(n1);
      const text = await n1.host.readFile(file);

      // Added by hand: the link is networkd's, and no file has the address.
      await n1.sh('ip addr add 10.77.0.99/24 dev eth0');
      const added = { ...changeOn(n1), from: { ...from, address: parseAddress('10.77.0.99') } };
      expect(await n1.refusal('plan', added)).toMatchObject({ code: 'OWNER_ADDRESS_NOT_FOUND' });

      const stanza = `auto eth0\niface eth0 inet static\n  address ${from.address}/24\n`;
      await n1.host.writeFile('/etc/network/interfaces', stanza);
      await n1.host.execOk(['systemctl', 'enable', 'networking']);
      expect(await refusalOf(n1, from.address)).toMatchObject({
        code: 'OWNER_AMBIGUOUS',
        message: expect.stringMatching(
          `${file}; ifupdown has eth0 \\(at boot\\) by /etc/network/interfaces:2`,
        ),
      });
      await n1.host.execOk(['systemctl', 'disable', 'networking']);
      expect(await n1.detect(changeOn(n1))).toMatchObject({ kind: 'owned', owner: 'systemd-networkd' });

      await n1.host.writeFile(file.replace('/etc/', '/run/'), text);
      await n1.sh(`rm ${file}; networkctl reload; networkctl reconfigure eth0`);
      await n1.snapshot(from.address);
      expect(await refusalOf(n1, from.address)).toMatchObject({
        code: 'OWNER_NOT_EDITABLE',
        message: expect.stringContaining(
          '/run/systemd/network/10-eth0.network, which is made anew at each boot',
        ),
        remedy: expect.stringContaining('Configure the link by a file in /etc'),
      });

      await n1.host.writeFile(file, '[Match]\nName=eth0\n[Link]\nUnmanaged=yes\n');
      await n1.sh(`networkctl reload; ip addr replace ${from.address}/24 dev eth0`);
      expect(await refusalOf(n1, from.address)).toMatchObject({
        code: 'OWNER_UNKNOWN',
        message: expect.stringContaining(`Nothing on this host says who puts ${from.address} on eth0`),
      });
    });
  },
};

contractsInLab('owner-hook', [hook, manual, given, unclear]);
