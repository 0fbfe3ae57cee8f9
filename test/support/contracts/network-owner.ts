import { readFileSync } from 'node:fs';
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
import type { HostSpec, Owner, Renderer } from '../lab/plan.ts';
import { waitFor } from '../lab/run.ts';
import { renumbered } from '../renumbered.ts';
import { full, sampleOf } from '../sampling.ts';

/** One owner of network configuration on real hosts, and what of the contract has to be written in its own language. */
export interface OwnerUnderTest {
  /** As the lab knows it. */
  owner: Owner;
  /** Of netplan. */
  renderer?: Renderer;
  kind: OwnerKind;
  /** Folders that the owner reads: all in them is compared, names too. */
  folders: readonly string[];
  /** Which of the cases an ordinary run begins with where it takes a sample: another one for each owner, so that together they see many. */
  turn: number;
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
  /** The program of the owner that `activate` asks, by path: to be replaced by another that hangs, fails, or lies. */
  tool: string;
  /** An argument by which the same program is told to judge files; undefined where the owner has no judge. */
  judging?: string;
}

/** Tests of one owner that need hosts of their own, and can run while others do. */
export interface Contract {
  title: string;
  kind: OwnerKind;
  hosts: readonly HostSpec[];
  /** Whether the hosts are on a wire with others; else each is alone, so that all can use the same addresses. */
  wired?: boolean;
  /** @param host of the hosts, the first unless told */
  tests: (host: (nth?: number) => OwnerOnHost) => void;
}

/** Boots the hosts of all contracts in one lab, and keeps the contracts side by side: most of their time is waiting for boots. */
export function contractsInLab(name: string, contracts: readonly Contract[]): void {
  let lab: Lab;
  beforeAll(async () => {
    lab = await upLab({ name, hosts: contracts.flatMap(({ hosts }) => hosts) });
    const alone = contracts.flatMap(({ wired = false, hosts }) => hosts.map(() => !wired));
    // One after the other: they change the same set of the packet filter.
    for (const [index, host] of lab.hosts.entries()) if (alone[index] === true) await host.cut();
  });
  afterAll(() => lab?.down());

  let before = 0;
  for (const { title, kind, hosts, tests } of contracts) {
    const first = before;
    before += hosts.length;
    describe(title, { concurrent: true }, () => {
      describe('one test after the other', { concurrent: false }, () => {
        tests((nth = 0) => new OwnerOnHost(lab.host(`n${first + nth + 1}`), kind));
      });
    });
  }
}

/** How long an owner may take to bring addresses up at boot, on a busy machine. */
const patienceMs = 60_000;
const directory = '/var/lib/rlnet/renumbering/backup';
/**
 * What of the agent's sandbox a test goes without: TypeScript is compiled as it runs; and what systemd cannot mount in a container, for the sake of
 * which it leaves all other mounts of the sandbox out too, and says nothing.
 */
const notHere = /^(MemoryDenyWriteExecute|ProtectProc|ProtectKernelTunables|ProtectControlGroups)=/;
const sandbox = /^StateDirectory=.*(?=^\[Install\])/ms
  .exec(readFileSync(new URL('../../../systemd/rlnet.service', import.meta.url), 'utf8'))?.[0]
  .split('\n')
  .filter((line) => /^\w/.test(line) && !notHere.test(line));
const driver = [
  ...['systemd-run', '--quiet', '--collect', '--wait', '--pipe', '--service-type=exec'],
  ...(sandbox ?? []).map((line) => `--property=${line}`),
  // It is called many times: most of what a call costs is compiling the same sources.
  '--setenv=NODE_COMPILE_CACHE=/var/lib/rlnet/owner-driver',
  ...['--', '/opt/rlnet/bin/node', '--disable-warning=ExperimentalWarning'],
  '/opt/redislabs/standin/test/support/lab/owner-driver.ts',
];

type Call = 'plan' | 'backUp' | 'persist' | 'activate' | 'readBack' | 'restore';

export class OwnerOnHost {
  readonly host: Host;
  readonly kind: OwnerKind;

  constructor(host: Host, kind: OwnerKind) {
    this.host = host;
    this.kind = kind;
  }

  detect(
    change: AddressChange,
  ): Promise<{ kind: string; owner?: OwnerKind; evidence?: string[]; error?: ErrorReport }> {
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

  /** One call after the other, in one process: the result is that of the last. */
  inOneGo(change: AddressChange, ...calls: ('persist' | 'activate' | 'restore')[]): Promise<void> {
    return this.#call(calls.join('+'), change);
  }

  /**
   * The error of a call; undefined where there was none.
   * @param pace by how much less time rlnet has than it grants
   */
  async refusal(call: Call, change: AddressChange, pace = 1): Promise<ErrorReport | undefined> {
    return (await this.#run(call, change, pace)).error;
  }

  async #call<T>(calls: string, change: AddressChange): Promise<T> {
    const answer = await this.#run(calls, change);
    if (answer.error !== undefined) {
      throw new Error(`${calls} on ${this.host.name}: ${answer.error.code}: ${answer.error.message}`);
    }
    return answer.result as T;
  }

  async #run(
    calls: string,
    change: AddressChange,
    pace = 1,
  ): Promise<{ result?: unknown; error?: ErrorReport }> {
    const argv = [...driver, this.kind, calls, JSON.stringify(change), directory, `${pace}`];
    return JSON.parse(await this.host.execOk(argv, { timeoutMs: 150_000 })) as {
      result?: unknown;
      error?: ErrorReport;
    };
  }

  async sh(script: string): Promise<string> {
    return this.host.execOk(['sh', '-euc', script]);
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

  /**
   * All that the kernel has, once no address is tentative any more and every link that is up has its link-local address.
   * @param wanted one of these has to be there
   */
  snapshot(...wanted: Address[]): Promise<NetworkSnapshot> {
    return waitFor(`${this.host.name} to have settled`, { timeoutMs: patienceMs }, async () => {
      const answers = await this.sh(
        'for what in addr "-4 route show table all" "-6 route show table all" "-4 rule" "-6 rule"; do ip -j -d $what; echo --; done',
      );
      const [addresses = '', routes4 = '', routes6 = '', rules4 = '', rules6 = ''] = answers.split('--\n');
      const now: NetworkSnapshot = {
        ...parseLinks(addresses),
        routes: [...parseRoutes(routes4, 'ipv4'), ...parseRoutes(routes6, 'ipv6')],
        rules: [...parseRules(rules4, 'ipv4'), ...parseRules(rules6, 'ipv6')],
      };
      const busy = now.addresses.some(({ flags }) => flags.includes('tentative'));
      const local = (name: string): boolean =>
        now.addresses.some(({ link, address }) => link === name && address.startsWith('fe80:'));
      const links = now.links.filter(({ loopback }) => !loopback);
      const here = wanted.length === 0 || now.addresses.some(({ address }) => wanted.includes(address));
      return !busy && here && links.every(({ name, up }) => up && local(name)) ? now : undefined;
    });
  }

  /** Every file in the folders, with all that there is of it. */
  files(folders: readonly string[]): Promise<string> {
    return this.host.execOk(['python3', '-c', lookAtFiles, ...folders]);
  }

  /** Gives the files an attribute that only root can see and set, and that no sandbox shows. */
  async mark(folders: readonly string[]): Promise<void> {
    const all = 'find "$@" -type f -print0';
    const set =
      "xargs -0 python3 -c \"import os, sys; [os.setxattr(each, 'trusted.note', b'ours') for each in sys.argv[1:]]\"";
    await this.host.execOk(['sh', '-c', `${all} | ${set}`, 'sh', ...folders]);
  }
}

const lookAtFiles = `
import hashlib, os, sys
for top in sys.argv[1:]:
    for folder, _, names in sorted(os.walk(top)):
        for path in sorted(os.path.join(folder, name) for name in names):
            if os.path.islink(path):
                print(path, '->', os.readlink(path))
                continue
            about = os.stat(path)
            attributes = [(name, os.getxattr(path, name)) for name in sorted(os.listxattr(path))]
            content = open(path, 'rb').read()
            print(path, oct(about.st_mode), about.st_uid, about.st_gid, about.st_mtime_ns, attributes, len(content),
                  hashlib.sha256(content).hexdigest())
`;

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

/**
 * The default routes of the lab's hosts go through eth1, whose gateway can stay where it is only in the same network; an address of eth0 has none.
 */
function changeOf(host: Host, { family, subnet, gateway }: Move): AddressChange {
  const same = subnet === 'the same subnet';
  const moves = gateway === 'with a new gateway';
  const card = host.plan.interfaces.find(
    ({ network }) => network === (same || moves ? 'external' : 'internal'),
  );
  const from = card?.addresses.find(({ address }) => familyOf(address) === family);
  if (card === undefined || from === undefined) throw new Error(`no ${family} to change on ${host.name}`);
  const base = same ? from.address.replace(/(\.\d+|::.*)$/, '') : undefined;
  const prefix = base ?? (family === 'ipv4' ? '10.79.0' : 'fd79:0:0:1');
  const of = (last: string): Address =>
    parseAddress(family === 'ipv4' ? `${prefix}.${last}` : `${prefix}::${last}`);
  const old = moves ? card.gateways.find((address) => familyOf(address) === family) : undefined;
  return {
    link: { name: card.name, mac: card.mac },
    from,
    to: { address: of('121'), prefixLength: from.prefixLength },
    ...(old === undefined ? {} : { gateway: { from: old, to: of(family === 'ipv4' ? '254' : 'fe02') } }),
  };
}

function differences(expected: NetworkSnapshot, actual: NetworkSnapshot): string[] {
  return compareSnapshots(expected, actual).map(describeDifference);
}

/** The cases of a sample of one begin with another one each turn. */
function sampleFrom<T>(turn: number, cases: readonly T[]): readonly T[] {
  const at = turn % cases.length;
  return sampleOf([...cases.slice(at), ...cases.slice(0, at)], 1);
}

const hostOf = ({ owner, renderer }: OwnerUnderTest, more: HostSpec = {}): HostSpec => ({
  owner,
  ...(renderer === undefined ? {} : { renderer }),
  ...more,
});
/** Two more addresses on eth0, of another network. */
const withMore = (last: number): HostSpec => ({
  extraInternal: [`10.78.0.${last}/24`, `fd78:0:0:1::${last}/64`],
});

function titled({ kind, renderer }: OwnerUnderTest, what: string): string {
  return `${kind}${renderer === undefined ? '' : ` for ${renderer}`} ${what}`;
}

/** There and back, with a reboot on either side. */
export function moveContract(subject: OwnerUnderTest): Contract {
  const { kind, folders, turn } = subject;
  return {
    title: titled(subject, 'moves an address and nothing else'),
    kind,
    hosts: [hostOf(subject, withMore(130 + 2 * turn))],
    tests: (host) => {
      it('is found to own the link, and nobody else is', async () => {
        const n1 = host();
        for (const family of ['ipv4', 'ipv6'] as const) {
          const change = changeOf(n1.host, {
            family,
            subnet: 'the same subnet',
            gateway: 'with its gateway as it is',
          });
          expect(await n1.detect(change)).toMatchObject({ kind: 'owned', owner: kind });
          expect((await n1.locate(change)).filter(({ sets }) => sets)).toHaveLength(1);
        }
      });

      it.each(sampleFrom(turn, moves))(
        'moves an $family address to $subnet, $gateway, and back, each lasting over a reboot',
        async (move) => {
          const n1 = host();
          const change = changeOf(n1.host, move);
          await n1.mark(folders);
          const before = { kernel: await n1.snapshot(change.from.address), files: await n1.files(folders) };
          const wanted = renumbered(before.kernel, change);
          await n1.swap(change);
          await n1.persist(change);
          expect(await n1.readBack(change)).toMatchObject({ files: 'to' });
          await n1.activate(change);
          expect(differences(wanted, await n1.snapshot(change.to.address))).toEqual([]);
          await n1.host.reboot({ addresses: false });
          expect(differences(wanted, await n1.snapshot(change.to.address))).toEqual([]);

          await n1.restore(change);
          expect(await n1.files(folders)).toBe(before.files);
          await n1.activate(reversed(change));
          expect(differences(before.kernel, await n1.snapshot(change.from.address))).toEqual([]);
          await n1.host.reboot();
          expect(differences(before.kernel, await n1.snapshot(change.from.address))).toEqual([]);
          expect(await n1.files(folders)).toBe(before.files);
          await n1.host.execOk(['rm', '-r', directory]);
        },
      );
    },
  };
}

interface Step {
  name: string;
  /** What a boot after it brings. */
  brings: 'old' | 'new';
  /** Whether it takes so long that the power can go in the middle of it. */
  long?: boolean;
  make: (n1: OwnerOnHost, change: AddressChange) => Promise<unknown>;
}

/** A move and its way back, in the order in which a renumbering makes them. */
const steps: readonly Step[] = [
  { name: 'the back-up', brings: 'old', make: (n1, change) => n1.backUp(change) },
  { name: 'the swap', brings: 'old', make: (n1, change) => n1.swap(change) },
  { name: 'persist', brings: 'new', long: true, make: (n1, change) => n1.persist(change) },
  { name: 'activate', brings: 'new', long: true, make: (n1, change) => n1.activate(change) },
  {
    name: 'a reboot',
    brings: 'new',
    make: async (n1, change) => {
      await n1.host.reboot({ addresses: false });
      await n1.snapshot(change.to.address);
    },
  },
  { name: 'restore', brings: 'old', long: true, make: (n1, change) => n1.restore(change) },
  {
    name: 'activate on the way back',
    brings: 'old',
    make: (n1, change) => n1.activate(reversed(change)),
  },
];

interface Outage {
  when: string;
  family: Family;
  done: readonly Step[];
  /** What has begun when the power goes. */
  begun?: Step;
}

const outages: readonly Outage[] = (['ipv4', 'ipv6'] as const).flatMap((family) =>
  steps.flatMap((step, at): Outage[] => [
    ...(step.long === true
      ? [{ when: `in the middle of ${step.name}`, family, done: steps.slice(0, at), begun: step }]
      : []),
    { when: `after ${step.name}`, family, done: steps.slice(0, at + 1) },
  ]),
);

/** `kill -9` of the host. */
export function powerLossContract(subject: OwnerUnderTest): Contract {
  const { kind, folders, turn } = subject;
  return {
    title: titled(subject, 'survives the loss of power'),
    kind,
    hosts: [hostOf(subject, withMore(131 + 2 * turn))],
    tests: (host) => {
      it.each(sampleFrom(turn * 3 + 2, outages))(
        'comes up all old or all new when it is lost $when ($family), and repeating the calls ends it',
        async ({ family, done, begun }) => {
          const n1 = host();
          const change = changeOf(n1.host, {
            family,
            subnet: 'another subnet',
            gateway: 'with a new gateway',
          });
          const before = { kernel: await n1.snapshot(change.from.address), files: await n1.files(folders) };
          const wanted = renumbered(before.kernel, change);
          for (const step of done) await step.make(n1, change);
          const cutOff = begun?.make(n1, change).catch(() => {});
          // Somewhere within it, or right before or after: it has to come out well wherever that is.
          if (begun !== undefined) await new Promise((resolve) => setTimeout(resolve, 500));
          await n1.host.kill();
          await cutOff;
          await n1.host.start({ addresses: false });

          const { from, to } = change;
          const kernel = await n1.snapshot(from.address, to.address);
          const brings = kernel.addresses.some(({ address }) => address === from.address) ? 'old' : 'new';
          if (begun === undefined) expect(brings).toBe(done.at(-1)?.brings);
          expect(differences(brings === 'old' ? before.kernel : wanted, kernel)).toEqual([]);
          expect(await n1.readBack(change)).toMatchObject({ files: brings === 'old' ? 'from' : 'to' });

          await n1.inOneGo(change, 'persist', 'activate', 'persist', 'activate');
          expect(differences(wanted, await n1.snapshot(to.address))).toEqual([]);
          await n1.inOneGo(change, 'restore', 'restore');
          await n1.inOneGo(reversed(change), 'activate', 'activate');
          expect(await n1.files(folders)).toBe(before.files);
          expect(differences(before.kernel, await n1.snapshot(from.address))).toEqual([]);
          await n1.host.execOk(['rm', '-r', directory]);
        },
      );
    },
  };
}

/** Row by row the same: configuration as people have it, in the owner's own language. */
export function configurationContract(
  subject: OwnerUnderTest,
  rich: ConfiguredHost & { diff: string },
  unusual: readonly ConfiguredHost[],
): Contract {
  const { kind, folders, turn } = subject;
  return {
    title: titled(subject, 'keeps all else in its files as it was'),
    kind,
    hosts: [hostOf(subject)],
    tests: (host) => {
      const thereAndBack = async (configured: ConfiguredHost & { diff?: string }): Promise<void> => {
        const { change, diff } = configured;
        const n1 = host();
        const kernel = await n1.configure(folders, configured);
        const files = await n1.files(folders);
        const wanted = renumbered(kernel, change);
        if (diff !== undefined) expect((await n1.plan(change)).diff).toBe(diff);
        expect(await n1.detect(change)).toMatchObject({ kind: 'owned', owner: kind });
        await n1.inOneGo(change, 'persist', 'activate');
        expect(differences(wanted, await n1.snapshot(change.to.address))).toEqual([]);
        expect(await n1.readBack(change)).toMatchObject({ files: 'to' });
        await n1.host.reboot({ addresses: false });
        expect(differences(wanted, await n1.snapshot(change.to.address))).toEqual([]);
        await n1.restore(change);
        expect(await n1.files(folders)).toBe(files);
        await n1.activate(reversed(change));
        expect(differences(kernel, await n1.snapshot(change.from.address))).toEqual([]);
        await n1.host.execOk(['rm', '-r', directory]);
      };

      it(`shows one change and no more in ${rich.title}, and makes it there and back`, () =>
        thereAndBack(rich));

      it.each(sampleFrom(turn, unusual))('understands $title as the owner does', thereAndBack);
    },
  };
}

/** How a tool can go wrong, in a shell's words, and what is said of it where it judges and where it is to take files up. */
const badTools = [
  ['fails', 'echo no >&2; exit 1', 'OWNER_REJECTED', 'COMMAND_FAILED'],
  ['lies', 'exit 0', 'OWNER_REJECTED', 'OWNER_NOT_TAKEN_UP'],
  ['hangs', 'exec sleep 1000', 'COMMAND_TIMEOUT', 'COMMAND_TIMEOUT'],
] as const;

/** In an ordinary run what does not come is waited for a fifth of the time. */
export const pace = full ? 1 : 5;

/** What goes wrong is said with a code, and nothing is half-changed. */
export function faultContract(subject: OwnerUnderTest, { folder, tool, judging }: OwnerFaults): Contract {
  const { kind, folders, turn } = subject;
  return {
    title: titled(subject, 'leaves nothing half-changed when something fails'),
    kind,
    hosts: [hostOf(subject)],
    tests: (host) => {
      let n1: OwnerOnHost;
      let change: AddressChange;
      let files: string;
      let kernel: NetworkSnapshot;
      beforeAll(async () => {
        n1 = host();
        change = changeOf(n1.host, {
          family: 'ipv4',
          subnet: 'another subnet',
          gateway: 'with a new gateway',
        });
        kernel = await n1.snapshot(change.from.address);
        files = await n1.files(folders);
      });

      const unchanged = async (): Promise<void> => {
        expect(await n1.files(folders)).toBe(files);
        expect(differences(kernel, await n1.snapshot(change.from.address))).toEqual([]);
      };
      /** Puts another program in the place of the tool; where a word is given, for calls with such an argument alone. */
      const replaceTool = async (script: string, word?: string): Promise<void> => {
        // A program can go by several names, and see by which it is called (ifup, ifdown).
        await n1.sh(`rm -rf /run/real; mkdir /run/real; cp --dereference ${tool} /run/real/
          for name in $(find -L $(dirname ${tool}) -samefile ${tool}); do cp --dereference ${tool} /run/real/$(basename $name); done`);
        const real = 'exec "/run/real/$(basename "$0")" "$@"';
        const text =
          word === undefined ? script : `case " $* " in *" ${word} "*) ${script} ;; *) ${real} ;; esac`;
        await n1.host.writeFile('/run/fake-tool', `#!/bin/sh\n${text}\n`, 0o755);
        await n1.sh(`mount --bind /run/fake-tool ${tool}`);
      };

      it('says which link has the MAC address now where it was renamed, and changes none', async () => {
        const { name, mac = '' } = change.link;
        await n1.sh(`ip link set ${name} down; ip link set ${name} name other`);
        for (const call of ['persist', 'activate'] as const) {
          expect(await n1.refusal(call, change)).toMatchObject({
            code: 'OWNER_LINK_GONE',
            message: expect.stringContaining(`other is the one with ${mac}`),
          });
        }
        expect(await n1.files(folders)).toBe(files);
        await n1.sh(`ip link set other name ${name}`);
      });

      it('goes back in its files where the link has vanished in the middle of the change', async () => {
        await n1.host.reboot();
        await n1.persist(change);
        await n1.sh(`ip link del ${change.link.name}`);
        expect(await n1.refusal('activate', change)).toMatchObject({ code: 'OWNER_LINK_GONE' });
        await n1.restore(change);
        expect(await n1.files(folders)).toBe(files);
        await n1.host.reboot();
        await unchanged();
        await n1.sh(`rm -r ${directory}`);
      });

      it.each(
        sampleFrom(turn, [
          {
            what: 'a read-only /etc',
            begin: 'mount --bind /etc /etc; mount -o remount,ro,bind /etc',
            end: 'umount --lazy /etc',
            says: 'Read-only file system',
          },
          {
            what: 'a full disk',
            // The folder on a disk of its own without a free block; fsync and rename are real.
            begin: `mkdir -p /run/full; mount -t tmpfs -o size=64k tmpfs /run/full; cp -a ${folder}/. /run/full/
              dd if=/dev/zero of=/run/full/filler bs=4k status=none || true; mount --bind /run/full ${folder}`,
            end: `umount ${folder} /run/full`,
            says: 'No space left on device',
          },
        ]),
      )('is refused by $what before anything is changed, there and back', async ({ begin, end, says }) => {
        const refused = { code: 'OWNER_WRITE_FAILED', message: expect.stringContaining(says) };
        for (const [call, files] of [
          ['persist', 'from'],
          ['restore', 'to'],
        ] as const) {
          await n1.sh(begin);
          expect(await n1.refusal(call, change)).toMatchObject(refused);
          expect(await n1.readBack(change)).toMatchObject({ files });
          expect(await n1.sh(`ls -A ${folder}`)).not.toContain('rlnet-tmp');
          await n1.sh(end);
          if (call === 'persist') {
            await unchanged();
            await n1.persist(change);
          }
        }
        await n1.restore(change);
        await unchanged();
        await n1.sh(`rm -r ${directory}`);
      });

      it.each(judging === undefined ? [] : sampleFrom(turn, badTools))(
        'does not write what a tool that %s has judged',
        async (_how, script, code) => {
          await replaceTool(script, judging);
          expect(await n1.refusal('persist', change, pace)).toMatchObject({ code });
          await n1.sh(`umount ${tool}`);
          await unchanged();
          await n1.sh(`rm -r ${directory}`);
        },
      );

      it.each(sampleFrom(turn, badTools))(
        'does not believe a tool that %s, and goes back when it is well again',
        async (_how, script, _judged, code) => {
          await n1.persist(change);
          await replaceTool(script);
          expect(await n1.refusal('activate', change, pace)).toMatchObject({ code });
          await n1.sh(`umount ${tool}`);
          expect(await n1.readBack(change)).toMatchObject({ files: 'to' });
          await n1.restore(change);
          await n1.activate(reversed(change));
          await unchanged();
          await n1.sh(`rm -r ${directory}`);
        },
      );
    },
  };
}
