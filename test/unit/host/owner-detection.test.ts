import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createNetworkOwners } from '../../../src/host/network-owner/detect.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import type { NetworkInterface } from '../../../src/protocol/interfaces.ts';
import { execWithPrograms } from '../../support/programs.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const address = parseAddress('192.0.2.10');

interface HostFixture {
  /** By path; a path begins with a slash. */
  files?: Record<string, string>;
  /** Units that are active, and whether networking.service is enabled. */
  active?: string[];
  networking?: 'enabled' | 'disabled';
  /** Of nmcli: `GENERAL.STATE`, and the file of the connection. */
  networkManager?: [state: string, file: string];
  /** Flags and prefix length of the address. */
  flags?: string[];
  address?: string;
  prefixLength?: number;
}

/** Runs the detection on a host that is a folder, with systemctl and nmcli as such a host's would answer. */
async function detect(host: HostFixture): Promise<string> {
  const root = await temporaryDirectory();
  for (const [path, text] of Object.entries(host.files ?? {})) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  const units = ['systemd-networkd', 'NetworkManager', 'networking'].map((name) => {
    const state = host.active?.includes(name) === true ? 'active' : 'inactive';
    const file =
      name === 'networking' ? (host.networking ?? 'disabled') : state === 'active' ? 'enabled' : 'disabled';
    return `Id=${name}.service\nActiveState=${state}\nUnitFileState=${file}\n`;
  });
  await writeFile(join(root, 'units'), units.join('\n'));
  const [state = '10 (unmanaged)', file = ''] = host.networkManager ?? [];
  const uuid = host.networkManager === undefined ? '' : '11111111-2222';
  const exec = await execWithPrograms({
    systemctl: `cat ${root}/units`,
    nmcli: `case "$*" in *device*) printf 'GENERAL.STATE:%s\\nGENERAL.CON-UUID:%s\\n' '${state}' '${uuid}' ;; *) printf '%s\\n' '0:/x' '11111111-2222:${file.replaceAll(':', '\\:')}' ;; esac`,
  });
  const link: NetworkInterface = {
    index: 2,
    name: 'eth0',
    mtu: 1500,
    operState: 'up',
    flags: ['UP'],
    addresses: [
      {
        address: parseAddress(host.address ?? address),
        prefixLength: host.prefixLength ?? 24,
        scope: 'global',
        flags: host.flags ?? [],
      },
    ],
  };
  const owners = createNetworkOwners(exec, { read: async () => [link] }, root);
  const verdict = await owners.detect({ name: 'eth0' }, parseAddress(host.address ?? address));
  return verdict.kind === 'owned'
    ? `${verdict.owner}: ${verdict.evidence.join('; ')}`
    : `${verdict.error.code}: ${verdict.error.message}`;
}

const networkd = (file: string, setup = 'configured'): HostFixture => ({
  active: ['systemd-networkd'],
  files: { '/run/systemd/netif/links/2': `ADMIN_STATE=${setup}\nNETWORK_FILE=${file}\n` },
});
const manager = (file: string, state = '100 (connected)'): HostFixture => ({
  active: ['NetworkManager'],
  networkManager: [state, file],
});
const ifupdown: HostFixture = {
  files: {
    '/etc/network/interfaces':
      'auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet static\n  address 192.0.2.10/24\n',
    '/run/network/ifstate': 'lo=lo\neth0=eth0\n',
  },
};
const and = (...hosts: HostFixture[]): HostFixture => ({
  ...Object.assign({}, ...hosts),
  active: hosts.flatMap(({ active }) => active ?? []),
  files: Object.assign({}, ...hosts.map(({ files }) => files)) as Record<string, string>,
});
const file = (path: string, text: string): HostFixture => ({ files: { [path]: text } });
const netplan = file(
  '/etc/netplan/01-netcfg.yaml',
  'network: {ethernets: {eth0: {addresses: [192.0.2.10/24]}}}',
);
const cloudNetplan = file('/etc/netplan/50-cloud-init.yaml', 'addresses:\n  - 192.0.2.10/24\n');
const cloudInit = file('/etc/cloud/cloud.cfg', 'users: []\n');
const renderedForNetworkd = networkd('/run/systemd/network/10-netplan-eth0.network');
const renderedForManager = manager('/run/NetworkManager/system-connections/netplan-eth0.nmconnection');

describe('the owner of a link', () => {
  it.each<[string, HostFixture, string]>([
    [
      'systemd-networkd',
      networkd('/etc/systemd/network/10-eth0.network'),
      '/etc/systemd/network/10-eth0.network',
    ],
    [
      'NetworkManager',
      manager('/etc/NetworkManager/system-connections/Wired: 1.nmconnection'),
      'Wired: 1.nmconnection',
    ],
    ['netplan', and(renderedForNetworkd, netplan), '/etc/netplan/01-netcfg.yaml'],
    ['netplan', and(renderedForManager, netplan), '/etc/netplan/01-netcfg.yaml'],
    ['ifupdown', ifupdown, '/etc/network/interfaces:4'],
    [
      'ifupdown',
      {
        ...ifupdown,
        files: {
          '/etc/network/interfaces': 'source /etc/network/interfaces.d/*\n',
          '/etc/network/interfaces.d/eth0': 'iface eth0 inet static\n',
        },
        networking: 'enabled',
      },
      'at boot) by /etc/network/interfaces.d/eth0:1',
    ],
    [
      'ifupdown',
      {
        files: {
          '/etc/network/interfaces': 'source sites/*/*.cfg\n',
          '/etc/network/sites/a/net.cfg': 'auto eth0:rs\niface eth0:rs inet static\n',
          '/run/network/ifstate': 'eth0:rs=eth0:rs\n',
        },
      },
      'up) by /etc/network/sites/a/net.cfg:2',
    ],
  ])('is %s when it says so and nobody else does', async (owner, host, evidence) => {
    const verdict = await detect(host);
    expect(verdict).toMatch(new RegExp(`^${owner}: `));
    expect(verdict).toContain(evidence);
  });

  it.each<[string, HostFixture]>([
    [
      'has stopped and left its state behind',
      { files: networkd('/etc/systemd/network/x.network').files ?? {} },
    ],
    ['does not manage the link', networkd('/etc/systemd/network/x.network', 'unmanaged')],
    [
      'has found it configured',
      manager('/run/NetworkManager/system-connections/eth0.nmconnection', '100 (connected (externally))'),
    ],
    ['has been told to leave it', manager('', '10 (unmanaged)')],
    ['is not used any more', file('/etc/network/interfaces', 'iface eth0 inet static\n')],
    ['has only another link', file('/run/network/ifstate', 'eth01=eth01\n')],
    [
      'is not asked to read the file',
      {
        ...and(
          file('/etc/network/interfaces', 'iface lo inet loopback\n'),
          file('/etc/network/interfaces.d/eth0', 'iface eth0 inet static\n'),
        ),
        networking: 'enabled',
      },
    ],
    [
      'has only files that cannot be followed and has brought up nothing',
      { ...file('/etc/network/interfaces', 'source $HOME/eth0\n'), networking: 'enabled' },
    ],
  ])('is nobody who %s', async (_who, host) => {
    expect(await detect(host)).toMatch(/^OWNER_UNKNOWN: /);
    expect(await detect(and(host, networkd('/etc/systemd/network/10-eth0.network')))).toMatch(
      /^systemd-networkd: /,
    );
  });

  it('is not told where ifupdown has the link and its files cannot be followed', async () => {
    const unclear = and(
      file('/etc/network/interfaces', 'source $HOME/eth0\n'),
      file('/run/network/ifstate', 'eth0=eth0\n'),
    );
    expect(await detect(unclear)).toMatch(/^OWNER_FILE_REFUSED: .*which only a shell can follow\.$/);
  });

  it('must be one alone, or both are named', async () => {
    const verdict = await detect(and(networkd('/etc/systemd/network/10-eth0.network'), ifupdown));
    expect(verdict).toMatch(/^OWNER_AMBIGUOUS: .*10-eth0\.network; ifupdown .*interfaces:4\.$/);
  });
});

describe('an address that is not ours to edit', () => {
  it.each<[string, HostFixture, string]>([
    ['a lease', { ...networkd('/etc/systemd/network/10-eth0.network'), flags: ['dynamic'] }, 'a lease'],
    [
      'a lease of DHCPv6',
      { ...ifupdown, address: '2001:db8::5', prefixLength: 128, flags: ['dynamic'] },
      'a lease',
    ],
    [
      'of a router',
      { ...ifupdown, address: '2001:db8::5', prefixLength: 64, flags: ['dynamic', 'mngtmpaddr'] },
      'router advertisement',
    ],
    [
      'in a file of cloud-init for netplan',
      and(renderedForNetworkd, cloudNetplan, cloudInit),
      '50-cloud-init.yaml',
    ],
    [
      'in a file of cloud-init for networkd',
      and(networkd('/etc/systemd/network/10-cloud-init-eth0.network'), cloudInit),
      '10-cloud-init-eth0.network',
    ],
    [
      'in a file of cloud-init for NetworkManager',
      and(manager('/etc/NetworkManager/system-connections/cloud-init-eth0.nmconnection'), cloudInit),
      'cloud-init-eth0',
    ],
    [
      'in a file of cloud-init for ifupdown',
      and(
        file('/etc/network/interfaces', 'source interfaces.d/*\n'),
        file('/etc/network/interfaces.d/50-cloud-init', 'iface eth0 inet static\n'),
        file('/run/network/ifstate', 'eth0=eth0\n'),
        cloudInit,
      ),
      '50-cloud-init:1',
    ],
    [
      'in an ifcfg file that NetworkManager reads',
      manager('/etc/sysconfig/network-scripts/ifcfg-eth0'),
      'ifcfg-eth0',
    ],
    [
      'in an ifcfg file alone',
      file('/etc/sysconfig/network-scripts/ifcfg-eth0', 'DEVICE=eth0\n'),
      'ifcfg-eth0',
    ],
    [
      "on the kernel's command line",
      and(
        networkd('/etc/systemd/network/10-eth0.network'),
        file('/proc/cmdline', 'ro ip=192.0.2.10::192.0.2.1:24::eth0:off\n'),
      ),
      'ip=192.0.2.10::',
    ],
    [
      'left by an initramfs',
      file('/run/net-eth0.conf', "DEVICE='eth0'\nIPV4ADDR='192.0.2.10'\n"),
      '/run/net-eth0.conf',
    ],
    ['in a file that is generated at boot', networkd('/run/systemd/network/70-eth0.network'), 'made anew'],
  ])('is %s: refused, with what says so', async (_what, host, evidence) => {
    const verdict = await detect(host);
    expect(verdict).toMatch(/^OWNER_NOT_EDITABLE: /);
    expect(verdict).toContain(evidence);
  });

  it.each<[string, HostFixture]>([
    ['in one line', file('/etc/cloud/cloud.cfg.d/99-disable.cfg', 'network: {config: disabled}\n')],
    ['in two lines', file('/etc/cloud/cloud.cfg.d/99-disable.cfg', '# ours\nnetwork:\n  config: disabled\n')],
    ['altogether', file('/etc/cloud/cloud-init.disabled', '')],
  ])('is ours all the same when cloud-init is told to leave the network alone, %s', async (_how, told) => {
    expect(await detect(and(renderedForNetworkd, cloudNetplan, cloudInit, told))).toMatch(/^netplan: /);
  });

  it('is not one that the command line gives to another link', async () => {
    const other = file('/proc/cmdline', 'ip=192.0.2.9::192.0.2.1:24::eth1:off');
    expect(await detect(and(networkd('/etc/systemd/network/10-eth0.network'), other))).toMatch(
      /^systemd-networkd: /,
    );
  });
});
