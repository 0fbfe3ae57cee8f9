import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Address, type Family, familyOf, parseAddress } from '../../../src/protocol/address.ts';
import type { AddressChange } from '../../../src/protocol/address-change.ts';
import type { ErrorReport } from '../../../src/protocol/errors.ts';
import {
  type OwnerKind,
  type OwnerPlace,
  type OwnerReading,
  reversed,
} from '../../../src/protocol/network-owner.ts';
import {
  compareSnapshots,
  describeDifference,
  type NetworkSnapshot,
  parseLinks,
} from '../../../src/protocol/network-snapshot.ts';
import { parseRoutes, parseRules } from '../../../src/protocol/routing.ts';
import { type Host, type Lab, upLab } from '../lab/lab.ts';
import type { HostFile } from '../lab/owners.ts';
import type { HostSpec, Owner } from '../lab/plan.ts';
import { waitFor } from '../lab/run.ts';
import { sampleOf } from '../sampling.ts';

/** One owner of network configuration on real hosts, and what of the contract has to be written in its own language. */
export interface OwnerUnderTest {
  /** As the lab knows it. */
  owner: Owner;
  kind: OwnerKind;
  /** Folders that the owner reads: all in them is compared, names too. */
  folders: readonly string[];
}

/** A configuration to give to a host, and the change to make in it. */
export interface ConfiguredHost {
  title: string;
  /** In the place of all that is in the owner's folders. They bring up eth0 with `change.from`, whatever else they do. */
  files: readonly HostFile[];
  /** What a shell does to them when they are there: links, bytes that are no UTF-8. */
  prepare?: string;
  change: AddressChange;
}

export interface OwnerFaults {
  /** The folder with the file that is to change. */
  folder: string;
  /** The programs of the owner that `activate` asks, by path: to be replaced by others that hang, fail, or lie. */
  tools: readonly string[];
}

/** How long an owner may take to bring addresses up at boot, on a busy machine. */
const patienceMs = 60_000;
const directory = '/var/lib/rlnet/renumbering/backup';
const driver = [
  '/opt/rlnet/bin/node',
  '--disable-warning=ExperimentalWarning',
  '/opt/redislabs/standin/test/support/lab/owner-driver.ts',
];

export class OwnerOnHost {
  readonly host: Host;
  readonly kind: OwnerKind;

  constructor(host: Host, kind: OwnerKind) {
    this.host = host;
    this.kind = kind;
  }

  detect(change: AddressChange): Promise<{ kind: string; owner?: OwnerKind; evidence?: string[] }> {
    return this.#call('detect', change);
  }
  plan(change: AddressChange): Promise<{ diff: string; warnings: string[] }> {
    return this.#call('plan', change);
  }
  locate(change: AddressChange): Promise<OwnerPlace[]> {
    return this.#call('locate', change);
  }
  backUp(change: AddressChange): Promise<void> {
    return this.#call('backUp', change);
  }
  persist(change: AddressChange): Promise<void> {
    return this.#call('persist', change);
  }
  activate(change: AddressChange): Promise<void> {
    return this.#call('activate', change);
  }
  readBack(change: AddressChange): Promise<OwnerReading> {
    return this.#call('readBack', change);
  }
  restore(change: AddressChange): Promise<void> {
    return this.#call('restore', change);
  }

  /** The code of the refusal; undefined where there was none. */
  async refusal(call: 'plan' | 'backUp' | 'persist' | 'activate' | 'restore', change: AddressChange) {
    return (await this.#run(call, change)).error;
  }

  async #call<T>(call: string, change: AddressChange): Promise<T> {
    const answer = await this.#run(call, change);
    if (answer.error !== undefined) {
      throw new Error(`${call} on ${this.host.name}: ${answer.error.code}: ${answer.error.message}`);
    }
    return answer.result as T;
  }

  async #run(call: string, change: AddressChange): Promise<{ result?: unknown; error?: ErrorReport }> {
    const argv = [...driver, this.kind, call, JSON.stringify(change), directory];
    return JSON.parse(await this.host.execOk(argv, { timeoutMs: 150_000 })) as {
      result?: unknown;
      error?: ErrorReport;
    };
  }

  /** What a swap does: the new address in the place of the old one, in the kernel alone. */
  async swap({ link, from, to }: AddressChange): Promise<void> {
    const nodad = familyOf(to.address) === 'ipv6' ? ['nodad'] : [];
    await this.host.execOk(['ip', 'addr', 'del', `${from.address}/${from.prefixLength}`, 'dev', link.name]);
    await this.host.execOk([
      ...['ip', 'addr', 'add', `${to.address}/${to.prefixLength}`, 'dev', link.name],
      ...nodad,
    ]);
  }

  /** Gives the host another configuration, which it has when it has booted. */
  async configure(
    folders: readonly string[],
    { files, prepare = '', change }: ConfiguredHost,
  ): Promise<NetworkSnapshot> {
    // A test that failed may have left its back-up.
    await this.host.execOk(['rm', '-rf', directory]);
    await this.host.execOk(['sh', '-c', 'find "$@" -mindepth 1 -delete', 'sh', ...folders]);
    for (const { path, text, mode } of files) await this.host.writeFile(path, text, mode);
    await this.host.execOk(['sh', '-euc', prepare]);
    await this.host.reboot({ addresses: false });
    return this.snapshot(change.from.address);
  }

  /** All that the kernel has, once no address is tentative any more and every link that is up has its link-local address. */
  snapshot(wanted?: Address): Promise<NetworkSnapshot> {
    return waitFor(`${this.host.name} to have settled`, { timeoutMs: patienceMs }, async () => {
      const ip = async (...words: string[]): Promise<string> =>
        this.host.execOk(['ip', '-j', '-d', ...words]);
      const now: NetworkSnapshot = {
        ...parseLinks(await ip('addr')),
        routes: [
          ...parseRoutes(await ip('-4', 'route', 'show', 'table', 'all'), 'ipv4'),
          ...parseRoutes(await ip('-6', 'route', 'show', 'table', 'all'), 'ipv6'),
        ],
        rules: [...parseRules(await ip('-4', 'rule'), 'ipv4'), ...parseRules(await ip('-6', 'rule'), 'ipv6')],
      };
      const busy = now.addresses.some(({ flags }) => flags.includes('tentative'));
      const local = (name: string): boolean =>
        now.addresses.some(({ link, address }) => link === name && address.startsWith('fe80:'));
      const links = now.links.filter(({ loopback }) => !loopback);
      const here = wanted === undefined || now.addresses.some(({ address }) => address === wanted);
      return !busy && here && links.every(({ name, up }) => up && local(name)) ? now : undefined;
    });
  }

  /** Every file in the folders: path, mode, owner, size and digest. */
  files(folders: readonly string[]): Promise<string> {
    const script = 'find "$@" -type f -exec stat -c "%n %a %u:%g %s %y" {} + -exec sha256sum {} + | sort';
    return this.host.execOk(['sh', '-c', script, 'sh', ...folders]);
  }
}

interface Move {
  family: Family;
  subnet: 'the same subnet' | 'another subnet';
  gateway: 'with a new gateway' | 'with its gateway as it is';
}

const moves: readonly Move[] = (['ipv4', 'ipv6'] as const).flatMap((family) =>
  (['the same subnet', 'another subnet'] as const).flatMap((subnet) =>
    (['with a new gateway', 'with its gateway as it is'] as const).map((gateway) => ({
      family,
      subnet,
      gateway,
    })),
  ),
);

/** The default routes of the lab's hosts go through eth1; an address of eth0 has no gateway to keep. */
function changeOf(host: Host, { family, subnet, gateway }: Move): AddressChange {
  const network = gateway === 'with a new gateway' ? 'external' : 'internal';
  const card = host.plan.interfaces.find((each) => each.network === network);
  const from = card?.addresses.find(({ address }) => familyOf(address) === family);
  if (card === undefined || from === undefined) throw new Error(`no ${family} on ${network}`);
  const base = subnet === 'the same subnet' ? from.address.replace(/(\.\d+|::.*)$/, '') : undefined;
  const prefix = base ?? (family === 'ipv4' ? '10.79.0' : 'fd79:0:0:1');
  const of = (last: string): Address =>
    parseAddress(family === 'ipv4' ? `${prefix}.${last}` : `${prefix}::${last}`);
  const old = card.gateways.find((address) => familyOf(address) === family);
  return {
    link: { name: card.name, mac: card.mac },
    from,
    to: { address: of('121'), prefixLength: from.prefixLength },
    ...(old === undefined ? {} : { gateway: { from: old, to: of(family === 'ipv4' ? '254' : 'fe02') } }),
  };
}

/** What differs between two snapshots and has nothing to do with the change; words for people. */
function beside(
  { from, to: { address }, gateway }: AddressChange,
  before: NetworkSnapshot,
  after: NetworkSnapshot,
): string[] {
  const own = [from.address, address, ...(gateway === undefined ? [] : [gateway.from, gateway.to])];
  const networks = [from.address, address].map((each) => each.replace(/(\d+|:[^:]*)$/, ''));
  return compareSnapshots(before, after)
    .map(describeDifference)
    .filter(
      (text) => !own.some((each) => text.includes(each)) && !networks.some((each) => text.includes(each)),
    );
}

/** What every owner of network configuration keeps, on a real host that it owns. */
export function networkOwnerContract(subject: OwnerUnderTest): void {
  const { owner, kind, folders } = subject;

  describe(`${kind} keeps the contract of NetworkOwner on a real host`, () => {
    let lab: Lab;
    const on = (name: string): OwnerOnHost => new OwnerOnHost(lab.host(name), kind);
    const spec = (last: string): HostSpec => ({
      owner,
      extraInternal: [`10.78.0.${last}/24`, `fd78:0:0:1::${last}/64`],
    });

    beforeAll(async () => {
      lab = await upLab({ name: `owner-${owner.toLowerCase()}`, hosts: [spec('124'), spec('125')] });
    });
    afterAll(() => lab?.down());

    it('is found to own the link, and nobody else is', async () => {
      const n1 = on('n1');
      const change = changeOf(n1.host, {
        family: 'ipv4',
        subnet: 'the same subnet',
        gateway: 'with its gateway as it is',
      });
      expect(await n1.detect(change)).toMatchObject({ kind: 'owned', owner: kind });
      expect((await n1.locate(change)).filter(({ sets }) => sets)).toHaveLength(1);
    });

    it.each(sampleOf(moves, 1))(
      'moves an $family address to $subnet, $gateway, and back, each lasting over a reboot',
      async (move) => {
        const n1 = on('n1');
        const change = changeOf(n1.host, move);
        const before = { kernel: await n1.snapshot(change.from.address), files: await n1.files(folders) };
        await n1.swap(change);
        await n1.persist(change);
        expect(await n1.readBack(change)).toMatchObject({ files: 'to' });
        await n1.activate(change);
        const activated = await n1.snapshot(change.to.address);
        await n1.host.reboot({ addresses: false });
        const rebooted = await n1.snapshot(change.to.address);
        for (const kernel of [activated, rebooted]) {
          expect(kernel.addresses.filter(({ address }) => address === change.from.address)).toEqual([]);
          expect(kernel.addresses).toContainEqual(
            expect.objectContaining({ ...change.to, link: change.link.name }),
          );
          expect(beside(change, before.kernel, kernel)).toEqual([]);
          if (change.gateway !== undefined) {
            const gateways = kernel.routes.flatMap(({ nexthops }) => nexthops.map(({ gateway }) => gateway));
            expect(gateways).toContain(change.gateway.to);
            expect(gateways).not.toContain(change.gateway.from);
          }
        }
        expect(compareSnapshots(activated, rebooted).map(describeDifference)).toEqual([]);

        await n1.restore(change);
        expect(await n1.files(folders)).toBe(before.files);
        await n1.activate(reversed(change));
        const restored = await n1.snapshot(change.from.address);
        await n1.host.reboot();
        for (const kernel of [restored, await n1.snapshot(change.from.address)]) {
          expect(compareSnapshots(before.kernel, kernel).map(describeDifference)).toEqual([]);
        }
        await n1.host.execOk(['rm', '-r', directory]);
      },
    );

    it.each(sampleOf(['persist', 'restore', 'activate', 'backUp'] as const, 1))(
      'ends all old or all new when power is lost after %s, and repeating the calls ends it',
      async (last) => {
        const n2 = on('n2');
        const change = changeOf(n2.host, {
          family: 'ipv4',
          subnet: 'another subnet',
          gateway: 'with a new gateway',
        });
        const before = { kernel: await n2.snapshot(change.from.address), files: await n2.files(folders) };
        await n2.backUp(change);
        if (last !== 'backUp') {
          await n2.swap(change);
          await n2.persist(change);
        }
        if (last === 'activate' || last === 'restore') await n2.activate(change);
        if (last === 'restore') await n2.restore(change);
        await n2.host.kill();
        await n2.host.start({ addresses: false });

        const old = last === 'backUp' || last === 'restore';
        const kernel = await n2.snapshot(old ? change.from.address : change.to.address);
        expect(kernel.addresses.map(({ address }) => address)).not.toContain(
          old ? change.to.address : change.from.address,
        );
        expect(beside(change, before.kernel, kernel)).toEqual([]);
        expect(await n2.readBack(change)).toMatchObject({ files: old ? 'from' : 'to' });

        await n2.persist(change);
        await n2.activate(change);
        await n2.persist(change);
        await n2.activate(change);
        await n2.restore(change);
        await n2.restore(change);
        await n2.activate(reversed(change));
        await n2.activate(reversed(change));
        expect(await n2.files(folders)).toBe(before.files);
        const after = await n2.snapshot(change.from.address);
        expect(compareSnapshots(before.kernel, after).map(describeDifference)).toEqual([]);
        await n2.host.execOk(['rm', '-r', directory]);
      },
    );
  });
}

/** Row by row the same: configuration as people have it, in the owner's own language. */
export function configurationContract(
  { owner, kind, folders }: OwnerUnderTest,
  rich: ConfiguredHost & { diff: string },
  unusual: readonly ConfiguredHost[],
): void {
  describe(`${kind} keeps all else in its files as it was`, () => {
    let lab: Lab;
    beforeAll(async () => {
      lab = await upLab({ name: `owner-${owner.toLowerCase()}-files`, hosts: [{ owner }] });
    });
    afterAll(() => lab?.down());

    const thereAndBack = async (configured: ConfiguredHost): Promise<void> => {
      const { change } = configured;
      const n1 = new OwnerOnHost(lab.host('n1'), kind);
      const kernel = await n1.configure(folders, configured);
      const files = await n1.files(folders);
      await n1.persist(change);
      await n1.activate(change);
      const activated = await n1.snapshot(change.to.address);
      expect(activated.addresses.map(({ address }) => address)).not.toContain(change.from.address);
      expect(beside(change, kernel, activated)).toEqual([]);
      expect(await n1.readBack(change)).toMatchObject({ files: 'to' });
      await n1.host.reboot({ addresses: false });
      const rebooted = await n1.snapshot(change.to.address);
      expect(compareSnapshots(activated, rebooted).map(describeDifference)).toEqual([]);
      await n1.restore(change);
      expect(await n1.files(folders)).toBe(files);
      await n1.activate(reversed(change));
      const restored = await n1.snapshot(change.from.address);
      expect(compareSnapshots(kernel, restored).map(describeDifference)).toEqual([]);
      await n1.host.execOk(['rm', '-r', directory]);
    };

    it(`shows one change and no more in ${rich.title}, and makes it there and back`, async () => {
      const n1 = new OwnerOnHost(lab.host('n1'), kind);
      await n1.configure(folders, rich);
      expect((await n1.plan(rich.change)).diff).toBe(rich.diff);
      await thereAndBack(rich);
    });

    it.each(sampleOf(unusual, 1))('understands $title as the owner does', thereAndBack);
  });
}

/** What goes wrong is said with a code, and nothing is half-changed. */
export function faultContract(
  { owner, kind, folders }: OwnerUnderTest,
  { folder, tools }: OwnerFaults,
): void {
  describe(`${kind} leaves nothing half-changed when something fails`, () => {
    let lab: Lab;
    let n1: OwnerOnHost;
    let change: AddressChange;
    let files: string;
    beforeAll(async () => {
      lab = await upLab({ name: `owner-${owner.toLowerCase()}-faults`, hosts: [{ owner }] });
      n1 = new OwnerOnHost(lab.host('n1'), kind);
      change = changeOf(n1.host, { family: 'ipv4', subnet: 'another subnet', gateway: 'with a new gateway' });
      files = await n1.files(folders);
    });
    afterAll(() => lab?.down());

    const sh = (script: string): Promise<string> => n1.host.execOk(['sh', '-euc', script]);
    const unchanged = async (): Promise<void> => {
      expect(await n1.files(folders)).toBe(files);
      expect((await n1.snapshot(change.from.address)).addresses.map(({ address }) => address)).not.toContain(
        change.to.address,
      );
    };

    it('cannot be asked for what is not there, and says which link has the MAC address now', async () => {
      const { name, mac = '' } = change.link;
      await sh(`ip link set ${name} down; ip link set ${name} name other`);
      expect(await n1.refusal('persist', change)).toMatchObject({
        code: 'OWNER_LINK_GONE',
        message: expect.stringContaining(`other is the one with ${mac}`),
      });
      await n1.host.reboot();
      await unchanged();
    });

    it('refuses a read-only folder before anything is changed', async () => {
      await sh(`mount --bind ${folder} ${folder}; mount -o remount,ro,bind ${folder}`);
      expect(await n1.refusal('persist', change)).toMatchObject({ code: 'OWNER_WRITE_FAILED' });
      await sh(`umount ${folder}`);
      await unchanged();
      await sh(`rm -r ${directory}`);
    });

    it('refuses a full disk before anything is changed', async () => {
      // The folder on a disk of its own without a free block; fsync and rename are real.
      await sh(`mkdir -p /run/full; mount -t tmpfs -o size=64k tmpfs /run/full; cp -a ${folder}/. /run/full/
        dd if=/dev/zero of=/run/full/filler bs=4k status=none || true; mount --bind /run/full ${folder}`);
      expect(await n1.refusal('persist', change)).toMatchObject({
        code: 'OWNER_WRITE_FAILED',
        message: expect.stringContaining('No space left on device'),
      });
      expect(await sh(`ls -A ${folder}`)).not.toContain('rlnet-tmp');
      await sh(`umount ${folder} /run/full`);
      await unchanged();
      await sh(`rm -r ${directory}`);
    });

    it.each(
      sampleOf(
        [
          ['fails', 'echo no >&2; exit 1', ['COMMAND_FAILED', 'OWNER_NOT_TAKEN_UP']],
          ['lies', 'exit 0', ['OWNER_NOT_TAKEN_UP']],
          ['hangs', 'exec sleep 1000', ['COMMAND_TIMEOUT', 'OWNER_NOT_TAKEN_UP']],
        ] as const,
        1,
      ),
    )('does not believe a tool that %s, and goes back when it is well again', async (_how, script, codes) => {
      await n1.persist(change);
      for (const tool of tools) {
        const fake = `/run/fake-${tool.replaceAll('/', '-')}`;
        await n1.host.writeFile(fake, `#!/bin/sh\n${script}\n`, 0o755);
        await sh(`mount --bind ${fake} ${tool}`);
      }
      const error = await n1.refusal('activate', change);
      for (const tool of tools) await sh(`umount ${tool}`);
      expect(codes).toContain(error?.code);
      expect(await n1.readBack(change)).toMatchObject({ files: 'to' });
      await n1.restore(change);
      await n1.activate(reversed(change));
      await unchanged();
      await sh(`rm -r ${directory}`);
    });
  });
}
