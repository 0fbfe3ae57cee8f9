import { readdir, readFile, realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import * as v from 'valibot';
import { type Address, familyOf, tryParseAddress } from '../../protocol/address.ts';
import type { AddressChange, LinkIdentity } from '../../protocol/address-change.ts';
import { errnoOf, RlnetError } from '../../protocol/errors.ts';
import { holdingOf } from '../../protocol/network-owner.ts';
import { type Clock, sleep } from '../ports/clock.ts';
import { commandFailed, type Exec } from '../ports/exec.ts';
import type { OwnerAdapter, OwnerReport } from './adapter.ts';
import {
  editNetworkd,
  locateInNetworkd,
  type NetworkdConfiguration,
  type NetworkdFile,
} from './networkd-edit.ts';

/** systemd.network(5): a file in an earlier directory hides the one of the same name in a later one. */
const directories = [
  '/etc/systemd/network',
  '/run/systemd/network',
  '/usr/local/lib/systemd/network',
  '/usr/lib/systemd/network',
] as const;

/** networkctl answers in milliseconds, but not while networkd is being started. */
const timeoutMs = 30_000;

/** A reload ends before networkd begins to configure the links whose files have changed, which it does within some milliseconds. */
const beginsWithinMs = 1_000;
const pollMs = 50;

/**
 * systemd-networkd. There is no tool that judges its files, so activation is the judge: the link's state, and the addresses that
 * networkd says it has configured.
 */
export function createNetworkdAdapter(exec: Exec, clock: Clock): OwnerAdapter<NetworkdConfiguration> {
  const networkctl = async (args: readonly string[], signal: AbortSignal | undefined): Promise<void> => {
    const result = await exec.run('networkctl', args, {
      timeoutMs,
      ...(signal === undefined ? {} : { signal }),
    });
    if (result.exitCode === 0) return;
    throw commandFailed(
      `networkctl ${args.join(' ')}`,
      result,
      'See journalctl -u systemd-networkd for what it does not like.',
    );
  };

  const report = async ({ link, from, to }: AddressChange, signal?: AbortSignal): Promise<OwnerReport> => {
    const state = await adminState(link.name);
    const static_ = await staticAddresses(exec, link.name, signal);
    const holding =
      static_ === undefined
        ? 'unknown'
        : holdingOf(static_.includes(from.address), static_.includes(to.address));
    const shown = static_ === undefined ? '' : `, with ${static_.join(', ') || 'no address'} configured`;
    return {
      state: states[state ?? ''] ?? 'unknown',
      holding,
      evidence: `networkd says that ${link.name} is ${state ?? 'unknown'}${shown}`,
    };
  };

  /** Whether networkd configures the link, or has done so. */
  const begins = async (change: AddressChange, signal?: AbortSignal): Promise<boolean> => {
    const until = clock.monotonic() + beginsWithinMs;
    for (;;) {
      const { holding, state } = await report(change, signal);
      if (state === 'failed') return false;
      if (holding === 'to' || state === 'busy') return true;
      if (clock.monotonic() >= until) return false;
      await sleep(clock, pollMs, signal ?? new AbortController().signal);
    }
  };

  return {
    kind: 'systemd-networkd',
    read,
    locate: (configuration, _link, address) => locateInNetworkd(configuration, address),
    edit: editNetworkd,
    judge: async () => {},
    takeUp: async (change, signal) => {
      const before = await report(change, signal);
      // Without a change of the files this does nothing, and where they changed it configures the link anew.
      if (before.holding === 'to') return networkctl(['reload'], signal);
      // networkd takes over an IPv6 address that is there as it stands (seen in 252); taken out it would go through duplicate address detection again.
      const staysIn = familyOf(change.to.address) === 'ipv6';
      if (!staysIn) await takeOutOfTheWay(exec, change, signal);
      await networkctl(['reload'], signal);
      // It configures what has changed, and leaves the link's other addresses alone. To configure the link anew takes those away too, and
      // IPv6 through duplicate address detection, for a second or two: only where the files are no news to networkd.
      if (await begins(change, signal)) return;
      if (staysIn) await takeOutOfTheWay(exec, change, signal);
      await networkctl(['reconfigure', change.link.name], signal);
    },
    report,
  };
}

/**
 * An address that a swap has put there, with the prefix length that networkd is about to give it, can make the link fail (“Numerical
 * result out of range”), and then even the restored file leaves it behind.
 */
export async function takeOutOfTheWay(
  exec: Exec,
  { link, to }: AddressChange,
  signal?: AbortSignal,
): Promise<void> {
  const options = { timeoutMs, ...(signal === undefined ? {} : { signal }) };
  for (const length of new Set([to.prefixLength, to.address.includes(':') ? 128 : 32])) {
    // Its exit status says no more than that it was not there.
    await exec.run('ip', ['addr', 'del', `${to.address}/${length}`, 'dev', link.name], options);
  }
}

/** SETUP of networkctl(1). */
const states: Readonly<Record<string, OwnerReport['state']>> = {
  configured: 'done',
  pending: 'busy',
  initialized: 'busy',
  configuring: 'busy',
  failed: 'failed',
  unmanaged: 'failed',
  linger: 'failed',
};

const statusSchema = v.object({
  Addresses: v.array(
    v.object({
      Address: v.array(v.number()),
      ConfigSource: v.string(),
      ConfigState: v.string(),
    }),
  ),
});

/** What networkd has put on the link by its files; undefined where it does not say (before 250), or does not answer. */
async function staticAddresses(
  exec: Exec,
  link: string,
  signal?: AbortSignal,
): Promise<Address[] | undefined> {
  let answer: unknown;
  try {
    const result = await exec.run('networkctl', ['--json=short', 'status', link], {
      timeoutMs,
      ...(signal === undefined ? {} : { signal }),
    });
    answer = JSON.parse(result.stdout);
  } catch (thrown) {
    signal?.throwIfAborted();
    if (thrown instanceof SyntaxError || thrown instanceof RlnetError) return undefined;
    throw thrown;
  }
  const parsed = v.safeParse(statusSchema, answer);
  if (!parsed.success) return undefined;
  return parsed.output.Addresses.filter(
    ({ ConfigSource, ConfigState }) => ConfigSource === 'static' && ConfigState === 'configured',
  ).flatMap(({ Address }) => tryParseAddress(textOf(Address)) ?? []);
}

function textOf(bytes: readonly number[]): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, at) =>
    ((bytes[2 * at] ?? 0) * 256 + (bytes[2 * at + 1] ?? 0)).toString(16),
  );
  return groups.join(':');
}

/** What libsystemd reads about a link: `NAME=value` lines, in the same words since 2014. */
async function netif(index: string): Promise<Map<string, string>> {
  const text = (await readIfThere(`/run/systemd/netif/links/${index}`))?.toString('utf8') ?? '';
  return new Map(
    text.split('\n').map((line): [string, string] => {
      const equals = line.indexOf('=');
      return [line.slice(0, equals), line.slice(equals + 1)];
    }),
  );
}

async function indexOf(link: string): Promise<string | undefined> {
  return (await readIfThere(`/sys/class/net/${link}/ifindex`))?.toString('utf8').trim();
}

async function adminState(link: string): Promise<string | undefined> {
  const index = await indexOf(link);
  return index === undefined ? undefined : (await netif(index)).get('ADMIN_STATE');
}

async function read({ name }: LinkIdentity): Promise<NetworkdConfiguration> {
  const index = await indexOf(name);
  const used = new Map<string, string>();
  for (const each of await namesIn('/run/systemd/netif/links')) {
    const file = (await netif(each)).get('NETWORK_FILE');
    if (file !== undefined && file !== '') used.set(each, file);
  }
  const main = used.get(index ?? '');
  if (main === undefined) {
    throw new RlnetError(
      'OWNER_UNKNOWN',
      `systemd-networkd has no .network file for ${name}.`,
      `See networkctl status ${name}: a [Match] section has to match the link.`,
    );
  }
  const withDropIns = async (file: string): Promise<NetworkdFile[]> =>
    Promise.all([file, ...(await dropIns(basename(file)))].map(readFileOf));
  const others = new Set([...used.values()].filter((file) => file !== main));
  return {
    own: await withDropIns(main),
    others: (await Promise.all([...others].map(withDropIns))).flat(),
  };
}

/** Of all directories, in the order of their names; of one name the first directory's counts. */
async function dropIns(networkFile: string): Promise<string[]> {
  const found = new Map<string, string>();
  for (const directory of directories) {
    const folder = join(directory, `${networkFile}.d`);
    for (const name of await namesIn(folder)) {
      if (name.endsWith('.conf') && !name.startsWith('.') && !found.has(name))
        found.set(name, join(folder, name));
    }
  }
  return [...found].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, path]) => path);
}

async function readFileOf(named: string): Promise<NetworkdFile> {
  try {
    const path = await realpath(named);
    const refused = /^\/run\//.test(path)
      ? 'is generated anew at each boot'
      : /^\/(usr|lib)\//.test(path)
        ? "is a package's, which an update replaces"
        : undefined;
    return { path, bytes: await readFile(path), ...(refused === undefined ? {} : { refused }) };
  } catch (cause) {
    const errno = errnoOf(cause);
    if (errno === undefined) throw cause;
    throw new RlnetError(
      'OWNER_FILE_REFUSED',
      `${named}, which systemd-networkd uses, cannot be read (${errno}).`,
      'Put the file back, or run networkctl reload if it was removed on purpose.',
      { cause },
    );
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).toSorted();
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return [];
    throw thrown;
  }
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}
