import { readFile, realpath } from 'node:fs/promises';
import * as v from 'valibot';
import { type Address, familyOf, tryParseAddress } from '../../protocol/address.ts';
import type { AddressChange, LinkIdentity } from '../../protocol/address-change.ts';
import { errnoOf, RlnetError } from '../../protocol/errors.ts';
import { type FileEdit, holdingOf } from '../../protocol/network-owner.ts';
import { commandFailed, type Exec, type ExecResult } from '../ports/exec.ts';
import type { OwnerAdapter, OwnerReport } from './adapter.ts';
import {
  bindingOf,
  editKeyfiles,
  type Keyfile,
  type KeyfileConfiguration,
  locateInKeyfiles,
  meaningOf,
} from './keyfile-edit.ts';
import { takeOutOfTheWay } from './networkd.ts';

/** nmcli answers in some 20 ms; not while NetworkManager is being started. */
const timeoutMs = 30_000;

/** A profile as `nmcli connection show` lists it, and its file. */
export interface Profile extends Keyfile {
  uuid: string;
  /** As NetworkManager knows the file: not its real path. */
  named: string;
  /** The link on which it is active; undefined where it is not. */
  device: string | undefined;
}

/**
 * NetworkManager, with profiles in keyfiles. `nmcli --offline` (1.40) judges them without the daemon; `nmcli device reapply` makes the link
 * as its profile says, and keeps the metric of its routes, which `connection up` does not.
 *
 * Seen in 1.42: a reapply takes away what NetworkManager has not put on the link, and makes all IPv6 addresses of it anew, which takes
 * detection of duplicates; with the flag that keeps such addresses the link loses its IPv6 ones. An address that is
 * there already stays as it is (without `noprefixroute`). A duplicate IPv6 address takes the whole link down.
 */
export function createNetworkManagerAdapter(exec: Exec): OwnerAdapter<KeyfileConfiguration<Profile>> {
  const nmcli = (args: readonly string[], signal: AbortSignal | undefined): Promise<ExecResult> =>
    exec.run('nmcli', args, { timeoutMs, ...(signal === undefined ? {} : { signal }) });

  const requireNmcli = async (args: readonly string[], signal: AbortSignal | undefined): Promise<string> => {
    const result = await nmcli(args, signal);
    if (result.exitCode === 0) return result.stdout;
    throw commandFailed(
      `nmcli ${args.join(' ')}`,
      result,
      'See journalctl -u NetworkManager for what it does not like.',
    );
  };

  const read = async (link: LinkIdentity, signal?: AbortSignal): Promise<KeyfileConfiguration<Profile>> => {
    const listed = await requireNmcli(
      ['-t', '-e', 'yes', '-f', 'UUID,DEVICE,TYPE,FILENAME', 'connection', 'show'],
      signal,
    );
    const rows = parseProfiles(listed);
    const active = rows.filter(({ device, type }) => device !== undefined && type !== 'vpn');
    const mine = active.find(({ device }) => device === link.name);
    return {
      own: mine === undefined ? await profileFor(link, rows) : await readProfile(mine),
      others: (
        await Promise.all(
          active
            .filter((row) => row !== mine && row.type !== 'loopback' && !isIfcfg(row.named))
            .map((row) => readProfile(row)),
        )
      ).toSorted((a, b) => (a.path < b.path ? -1 : 1)),
    };
  };

  const report = async (
    { link, from, to }: AddressChange,
    signal: AbortSignal | undefined,
  ): Promise<OwnerReport> => {
    try {
      const shown = await requireNmcli(
        ['-g', 'GENERAL.STATE,GENERAL.DBUS-PATH', 'device', 'show', link.name],
        signal,
      );
      const [state = '', path = ''] = shown.split('\n');
      const applied = await appliedAddresses(exec, path, signal);
      return {
        state: stateOf(state),
        holding:
          applied === undefined
            ? 'unknown'
            : holdingOf(applied.includes(from.address), applied.includes(to.address)),
        evidence: `NetworkManager says that ${link.name} is ${state}${applied === undefined ? '' : `, with ${applied.join(', ') || 'no address'} applied`}`,
      };
    } catch (thrown) {
      if (!(thrown instanceof RlnetError)) throw thrown;
      return { state: 'unknown', holding: 'unknown', evidence: thrown.message };
    }
  };

  /** Without a profile nothing can be taken up. */
  const readToTakeUp: typeof read = async (link, signal) => {
    try {
      return await read(link, signal);
    } catch (thrown) {
      if (!(thrown instanceof RlnetError) || thrown.code !== 'OWNER_UNKNOWN') throw thrown;
      throw new RlnetError('OWNER_NOT_TAKEN_UP', thrown.message, thrown.remedy, { cause: thrown });
    }
  };

  /** As its profile says it, in whatever state it is. */
  const apply = async (profile: Profile, link: string, signal: AbortSignal | undefined): Promise<void> => {
    const { exitCode } = await nmcli(['device', 'reapply', link], signal);
    if (exitCode === 0) return;
    // A link that is not active (a duplicate address has taken it down, say) has nothing to be applied again.
    await requireNmcli(['--wait', '0', 'connection', 'up', 'uuid', profile.uuid, 'ifname', link], signal);
  };

  return {
    kind: 'NetworkManager',
    read,
    locate: (configuration, _link, address) => locateInKeyfiles(configuration, address),
    edit: editKeyfiles,
    judge: async (files, signal) => {
      for (const file of files) await judgeKeyfile(exec, file, signal);
    },
    takeUp: async (change, signal) => {
      const { own, others } = await readToTakeUp(change.link, signal);
      const dependent = new Set(locateInKeyfiles({ own, others }, change.to.address).map(({ path }) => path));
      const concerned = others.filter(({ path }) => dependent.has(path));
      for (const { named } of [...concerned, own]) await requireNmcli(['connection', 'load', named], signal);
      const { holding } = await report(change, signal);
      // NetworkManager takes over an IPv6 address that is there as it stands; taken out it would go through duplicate address detection again.
      if (holding !== 'to' && familyOf(change.to.address) === 'ipv4')
        await takeOutOfTheWay(exec, change, signal);
      await apply(own, change.link.name, signal);
      for (const other of concerned) await apply(other, other.device ?? '', signal);
    },
    report,
  };
}

interface Row {
  uuid: string;
  device: string | undefined;
  type: string;
  named: string;
}

/** nmcli(1), terse: a colon or backslash in a value is escaped by a backslash. */
export function parseProfiles(listed: string): Row[] {
  return listed
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [uuid = '', device = '', type = '', named = ''] = [
        ...line.matchAll(/((?:[^\\:]|\\.)*)(?::|$)/g),
      ].map(([, value = '']) => value.replaceAll(/\\(.)/g, '$1'));
      return { uuid, device: device === '' ? undefined : device, type, named };
    });
}

/** DEVICE_STATE of NetworkManager, as `100 (connected)`. */
function stateOf(text: string): OwnerReport['state'] {
  const state = Number(/^\d+/.exec(text)?.[0]);
  if (state === 100) return 'done';
  // Unmanaged, and failed. A link that is disconnected can be between two attempts.
  if (state === 10 || state === 120) return 'failed';
  return state >= 20 && state < 120 ? 'busy' : 'unknown';
}

const addressData = v.optional(
  v.object({
    'address-data': v.optional(
      v.object({ data: v.array(v.object({ address: v.object({ data: v.string() }) })) }),
    ),
  }),
);
const appliedSchema = v.object({
  data: v.looseTuple([v.object({ ipv4: addressData, ipv6: addressData })]),
});

/** What NetworkManager has applied to the device; undefined where it does not say. */
async function appliedAddresses(
  exec: Exec,
  path: string,
  signal: AbortSignal | undefined,
): Promise<Address[] | undefined> {
  const service = 'org.freedesktop.NetworkManager';
  const result = await exec.run(
    'busctl',
    ['--json=short', 'call', service, path, `${service}.Device`, 'GetAppliedConnection', 'u', '0'],
    { timeoutMs, ...(signal === undefined ? {} : { signal }) },
  );
  // Nothing is applied to a device that is not active; that is an error of the call.
  if (result.exitCode !== 0) return undefined;
  let answer: unknown;
  try {
    answer = JSON.parse(result.stdout);
  } catch {
    return undefined;
  }
  const parsed = v.safeParse(appliedSchema, answer);
  if (!parsed.success) return undefined;
  const [{ ipv4, ipv6 }] = parsed.output.data;
  return [ipv4, ipv6].flatMap((setting) =>
    (setting?.['address-data']?.data ?? []).flatMap(({ address }) => tryParseAddress(address.data) ?? []),
  );
}

/** The one profile that is bound to a link on which none is active. */
async function profileFor(link: LinkIdentity, rows: readonly Row[]): Promise<Profile> {
  const idle = rows.filter(({ device, named }) => device === undefined && named !== '' && !isIfcfg(named));
  const bound = (await Promise.all(idle.map((row) => readProfile(row)))).filter((profile) => {
    const { name, mac } = bindingOf(profile);
    return name === link.name || (mac !== undefined && mac === link.mac);
  });
  const [only, second] = bound;
  if (only !== undefined && second === undefined) return only;
  const found = bound.map(({ path }) => path).join(', ');
  throw new RlnetError(
    'OWNER_UNKNOWN',
    `NetworkManager has no active profile on ${link.name}${found === '' ? '' : `, and several that could be: ${found}`}.`,
    `Activate the one that is meant (nmcli connection up NAME), and see nmcli device show ${link.name}.`,
  );
}

async function readProfile({ uuid, device, named }: Row): Promise<Profile> {
  if (isIfcfg(named)) {
    throw new RlnetError(
      'OWNER_FILE_REFUSED',
      `${named}, which NetworkManager uses, is an ifcfg file and not a keyfile.`,
      'Move it to a keyfile with nmcli connection migrate, and plan again.',
    );
  }
  try {
    const path = await realpath(named);
    const refused = refusal(named, path);
    return {
      ...{ uuid, device, named, path, bytes: await readFile(path) },
      ...(refused === undefined ? {} : { refused }),
    };
  } catch (cause) {
    const errno = errnoOf(cause);
    if (errno === undefined) throw cause;
    throw new RlnetError(
      'OWNER_FILE_REFUSED',
      `${named === '' ? 'A profile without a file' : named}, which NetworkManager uses, cannot be read (${errno}).`,
      'Save the profile (nmcli connection modify NAME with save), or run nmcli connection reload if the file was removed on purpose.',
      { cause },
    );
  }
}

function isIfcfg(named: string): boolean {
  return named.includes('/network-scripts/');
}

function refusal(named: string, path: string): string | undefined {
  if (/\/netplan-[^/]*\.nmconnection$/.test(named)) return 'is made by netplan from /etc/netplan';
  if (path.startsWith('/run/')) return 'is lost at the next boot';
  return /^\/(usr|lib)\//.test(path) ? "is a package's, which an update replaces" : undefined;
}

/**
 * Reads the file as NetworkManager does, without it, and compares what it makes of it with what we do: it passes over what it does
 * not understand with no more than a warning.
 */
async function judgeKeyfile(
  exec: Exec,
  { path, after }: FileEdit,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { exitCode, stdout, stderr } = await exec.run(
    'sh',
    // The file holds secrets, maybe: its content goes from hand to hand and nowhere else.
    ['-c', 'exec nmcli --offline connection modify <"$1"', 'sh', path],
    { timeoutMs, ...(signal === undefined ? {} : { signal }) },
  );
  const said = stderr.trim().replaceAll(/\s+/g, ' ').slice(0, 300);
  // Before 1.40: what it has applied is the judge then.
  if (exitCode !== 0 && said.includes('--offline')) return;
  if (exitCode !== 0) throw rejected(path, said === '' ? `exit status ${exitCode}` : said);
  const [ours, its] = [meaningOf(after), meaningOf(Buffer.from(stdout))];
  const lost = ours.find((each) => !its.includes(each)) ?? its.find((each) => !ours.includes(each));
  if (lost !== undefined) throw rejected(path, `it reads “${lost}” otherwise than rlnet`);
}

function rejected(path: string, why: string): RlnetError {
  return new RlnetError(
    'OWNER_REJECTED',
    `NetworkManager does not take ${path} with the change in it: ${why}.`,
    'The file is as it was before. Make the change with nmcli connection modify on a copy to see what is wrong.',
  );
}
