import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { type Address, tryParseAddress } from '../../protocol/address.ts';
import type { LinkIdentity } from '../../protocol/address-change.ts';
import { errnoOf, RlnetError } from '../../protocol/errors.ts';
import { judgeOwner, type OwnerFacts } from '../../protocol/owner-detection.ts';
import type { Exec } from '../ports/exec.ts';
import type { Interfaces } from '../ports/interfaces.ts';
import type { NetworkOwners } from '../ports/network-owner.ts';
import { requireLink } from './file-owner.ts';
import { readInterfaces } from './ifupdown.ts';
import { stanzasFor } from './ifupdown-edit.ts';

const timeoutMs = 10_000;

/** @param root where the host's file system begins, for hosts that are a folder of a test */
export function createNetworkOwners(
  exec: Exec,
  interfaces: Pick<Interfaces, 'read'>,
  root = '/',
): NetworkOwners {
  return {
    detect: async (link, address, signal) => {
      const found = await requireLink(interfaces, link, signal);
      const bound = found.addresses.find((each) => each.address === address);
      try {
        return judgeOwner({
          link: link.name,
          address,
          bound,
          ...(await readServices(exec, root, found.index, link, signal)),
          ...(await readFiles(root, link.name, address)),
        });
      } catch (thrown) {
        if (thrown instanceof RlnetError && thrown.code === 'OWNER_FILE_REFUSED')
          return { kind: 'refused', error: thrown };
        throw thrown;
      }
    },
  };
}

/** Those who can be asked. */
async function readServices(
  exec: Exec,
  root: string,
  index: number,
  link: LinkIdentity,
  signal: AbortSignal | undefined,
): Promise<Pick<OwnerFacts, 'networkd' | 'networkManager' | 'ifupdown'>> {
  const options = { timeoutMs, ...(signal === undefined ? {} : { signal }) };
  const ask = async (file: string, ...args: string[]): Promise<string> => {
    const { exitCode, stdout } = await exec.run(file, args, options);
    return exitCode === 0 ? stdout : '';
  };
  // What a stopped networkd has left in /run says nothing.
  const units = await ask(
    'systemctl',
    'show',
    '--no-pager',
    '--property=Id,ActiveState,UnitFileState',
    ...['systemd-networkd.service', 'NetworkManager.service', 'networking.service'],
  );
  const unit = (name: string): string =>
    units.split('\n\n').find((block) => block.includes(`Id=${name}\n`)) ?? '';
  // NAME=NAME, and LINK:LABEL=LINK:LABEL of an alias.
  const up = (await readText(join(root, 'run/network/ifstate')))
    .split('\n')
    .some((line) => line.startsWith(`${link.name}=`) || line.startsWith(`${link.name}:`));
  const netif = propertiesOf(await readText(join(root, `run/systemd/netif/links/${index}`)));
  return {
    ...(unit('systemd-networkd.service').includes('ActiveState=active')
      ? {
          networkd: {
            setup: netif.get('ADMIN_STATE') ?? 'unknown',
            ...nonEmpty('file', netif.get('NETWORK_FILE')),
          },
        }
      : {}),
    ...(unit('NetworkManager.service').includes('ActiveState=active')
      ? { networkManager: await readNetworkManager(ask, link.name) }
      : {}),
    ifupdown: {
      up,
      enabled: unit('networking.service').includes('UnitFileState=enabled'),
      stanzas: await stanzasOf(root, link, up),
    },
  };
}

/** nmcli(1), terse: `FIELD:VALUE` lines, and in a table colons of values escaped. */
async function readNetworkManager(
  ask: (file: string, ...args: string[]) => Promise<string>,
  link: string,
): Promise<NonNullable<OwnerFacts['networkManager']>> {
  const device = await ask('nmcli', '-t', '-f', 'GENERAL.STATE,GENERAL.CON-UUID', 'device', 'show', link);
  const field = (name: string): string =>
    device
      .split('\n')
      .find((line) => line.startsWith(`${name}:`))
      ?.slice(name.length + 1) ?? '';
  const uuid = field('GENERAL.CON-UUID');
  const connections = await ask('nmcli', '-t', '-f', 'UUID,FILENAME', 'connection', 'show');
  const row = uuid === '' ? undefined : connections.split('\n').find((line) => line.startsWith(`${uuid}:`));
  return {
    state: field('GENERAL.STATE'),
    ...nonEmpty('file', row?.slice(uuid.length + 1).replaceAll(/\\(.)/g, '$1')),
  };
}

/**
 * Where ifupdown configures the link.
 * @param up whether it has
 * @throws RlnetError OWNER_FILE_REFUSED where it has, and its files cannot be followed
 */
async function stanzasOf(root: string, link: LinkIdentity, up: boolean): Promise<string[]> {
  try {
    return stanzasFor(await readInterfaces(root), link).map((place) => `/${relative(root, place)}`);
  } catch (thrown) {
    // Most hosts without ifupdown have no such file, and who does not use it may leave anything in it.
    if (!up && thrown instanceof RlnetError) return [];
    throw thrown;
  }
}

type FileFacts = Pick<OwnerFacts, 'netplan' | 'ifcfg' | 'commandLine' | 'initramfs' | 'cloudInit'>;

/** Those who leave nothing but files. */
async function readFiles(root: string, link: string, address: Address): Promise<FileFacts> {
  const mentions = async (path: string): Promise<boolean> => {
    const words = (await readText(join(root, path))).match(/[0-9A-Fa-f:.]+/g) ?? [];
    return words.some((word) => tryParseAddress(word) === address);
  };
  const withAddress = async (paths: readonly string[]): Promise<string[]> => {
    const found = await Promise.all(paths.map(async (path) => ((await mentions(path)) ? [`/${path}`] : [])));
    return found.flat();
  };
  const netplan = (await namesIn(join(root, 'etc/netplan'))).filter((name) => name.endsWith('.yaml'));
  const ifcfg = ['etc/sysconfig/network-scripts', 'etc/sysconfig/network'].map(
    (folder) => `${folder}/ifcfg-${link}`,
  );
  const words = (await readText(join(root, 'proc/cmdline'))).trim().split(/\s+/);
  const commandLine = words.filter((word) => word.startsWith('ip='));
  return {
    netplan: await withAddress(netplan.map((name) => join('etc/netplan', name))),
    ifcfg: await existing(root, ifcfg),
    commandLine: commandLine.filter((word) => {
      // ip=ADDRESS:PEER:GATEWAY:MASK:HOST:LINK:…, an IPv6 address in brackets; dracut.cmdline(7).
      const fields = word.slice('ip='.length).match(/\[[^\]]*\]|[^:]+/g) ?? [];
      return fields.some(
        (each) => each === link || tryParseAddress(each.replaceAll(/^\[|\]$/g, '')) === address,
      );
    }),
    initramfs: await withAddress([`run/net-${link}.conf`, `run/net6-${link}.conf`]),
    cloudInit: await isCloudInitOn(root),
  };
}

/** cloud-init writes network configuration unless it is switched off, or told not to. */
async function isCloudInitOn(root: string): Promise<boolean> {
  const [present] = await existing(root, ['etc/cloud/cloud.cfg']);
  const [disabled] = await existing(root, ['etc/cloud/cloud-init.disabled']);
  if (present === undefined || disabled !== undefined) return false;
  const folder = 'etc/cloud/cloud.cfg.d';
  const files = [
    'etc/cloud/cloud.cfg',
    ...(await namesIn(join(root, folder))).map((name) => join(folder, name)),
  ];
  const texts = await Promise.all(files.map((file) => readText(join(root, file))));
  return !texts.some((text) =>
    /^network:\s*(\{\s*config:\s*disabled\s*\}|\n\s+config:\s*disabled)/m.test(text),
  );
}

function nonEmpty<K extends string>(name: K, value: string | undefined): Partial<Record<K, string>> {
  return value === undefined || value === '' ? {} : ({ [name]: value } as Partial<Record<K, string>>);
}

function propertiesOf(text: string): Map<string, string> {
  return new Map(
    text.split('\n').map((line): [string, string] => {
      const equals = line.indexOf('=');
      return [line.slice(0, equals), line.slice(equals + 1)];
    }),
  );
}

async function existing(root: string, paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    paths.map(async (path) => ((await readIfThere(join(root, path))) === undefined ? [] : [`/${path}`])),
  );
  return found.flat();
}

async function readText(path: string): Promise<string> {
  return (await readIfThere(path)) ?? '';
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT' || errnoOf(thrown) === 'ENOTDIR') return undefined;
    throw thrown;
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory, { withFileTypes: true }))
      .filter((entry) => !entry.isDirectory())
      .map(({ name }) => name)
      .toSorted();
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return [];
    throw thrown;
  }
}
