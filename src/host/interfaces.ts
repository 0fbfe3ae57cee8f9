import { realpath } from 'node:fs/promises';
import * as v from 'valibot';
import { parseSocketAddress } from '../protocol/address.ts';
import { errnoOf, RlnetError } from '../protocol/errors.ts';
import { type BoundAddress, maxUnreadListed, type NetworkInterface } from '../protocol/interfaces.ts';
import { addressSchema } from '../protocol/schema.ts';
import { inBursts } from './bursts.ts';
import type { Clock, Timer } from './ports/clock.ts';
import { commandFailed, type Exec, type RunningProgram } from './ports/exec.ts';
import type { Interfaces } from './ports/interfaces.ts';

const query = ['-j', '-d', 'addr'] as const;
const queryText = `ip ${query.join(' ')}`;

/** Plenty: it takes 20 ms for 80 interfaces on a quiet host. */
const queryTimeoutMs = 5_000;

/** About 2 KiB an interface and 200 bytes an address; hosts with thousands of container links exist. */
const queryMaxBytes = 16 * 1024 * 1024;

/**
 * For how long an answer is taken apart before the event loop gets its turn. It takes 4 ms as a whole for 400 addresses, but
 * more than 20 ms the first time, when nothing is compiled yet.
 */
const longestTurnMs = 4;

/** How long a started `ip monitor` may take until it listens. What changes before that is not told: so a hint follows. */
const monitorStartMs = 250;

const firstRestartMs = 1_000;
const longestRestartMs = 30_000;

/**
 * The interfaces of the network namespace that `exec` runs its programs in.
 * @param sysfs where that namespace's sysfs is mounted
 */
export function createInterfaces(exec: Exec, clock: Clock, sysfs = '/sys'): Interfaces {
  return {
    read: async (signal) => {
      const result = await exec.run('ip', query, {
        timeoutMs: queryTimeoutMs,
        maxBytes: queryMaxBytes,
        ...(signal === undefined ? {} : { signal }),
      });
      if (result.exitCode !== 0) {
        throw commandFailed(queryText, result, 'Run it by hand to see what is wrong with it.');
      }
      const links: NetworkInterface[] = [];
      let since = clock.monotonic();
      for (const [position, entry] of entriesOf(result.stdout).entries()) {
        links.push(parseEntry(entry, position));
        if (clock.monotonic() - since < longestTurnMs) continue;
        await new Promise<void>((resolve) => clock.after(0, resolve));
        signal?.throwIfAborted();
        since = clock.monotonic();
      }
      return await Promise.all(links.map((link) => withPath(link, sysfs)));
    },
    watch: (onHint) => watch(exec, clock, onHint),
  };
}

/** The path of a NIC where sysfs has one, a symbolic link away. Only a link without a kind is asked for: the others are the kernel's own making. */
async function withPath(link: NetworkInterface, sysfs: string): Promise<NetworkInterface> {
  if (link.mac === undefined || link.kind !== undefined) return link;
  try {
    const path = await realpath(`${sysfs}/class/net/${link.name}/device`);
    return { ...link, path: path.replace(/^.*?\/devices\//, '') };
  } catch (thrown) {
    // It has no device, is gone already, or sysfs is not there (a container): the path stays unknown.
    if (errnoOf(thrown) === undefined) throw thrown;
    return link;
  }
}

/** What iproute2 calls forever. */
const forever = 2 ** 32 - 1;

const lifetimeSchema = v.pipe(v.number(), v.integer(), v.minValue(0));

/**
 * One element of `addr_info`. `local` is the host's own address; `address` is there on point-to-point links only, and is
 * the other end's. A flag is a member that is `true`, so flags newer than this are kept too.
 */
const addrInfoSchema = v.looseObject({
  local: addressSchema,
  prefixlen: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(128)),
  scope: v.string(),
  label: v.optional(v.string()),
  valid_life_time: v.optional(lifetimeSchema, forever),
  preferred_life_time: v.optional(lifetimeSchema, forever),
});

const ipLinkSchema = v.object({
  ifindex: v.number(),
  ifname: v.string(),
  flags: v.array(v.string()),
  mtu: v.number(),
  operstate: v.string(),
  link_type: v.string(),
  address: v.optional(v.string()),
  master: v.optional(v.string()),
  linkinfo: v.optional(v.object({ info_kind: v.optional(v.string()) })),
  addr_info: v.array(v.looseObject({ family: v.string() })),
});

/** An address that could not be read is shown in so many characters at most, and so is the reason. */
const longestUnread = 100;

/**
 * The answer of `ip -j -d addr`. Every interface with every IPv4 and IPv6 address: one that is not understood is told apart
 * (`unread`), so that it does not hide the others.
 * @throws RlnetError OUTPUT_UNREADABLE, naming the interface that is not understood.
 */
export function parseIpAddr(text: string): NetworkInterface[] {
  return entriesOf(text).map(parseEntry);
}

function entriesOf(text: string): unknown[] {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch (cause) {
    throw unreadable('the answer is not JSON', cause);
  }
  if (!Array.isArray(answer)) throw unreadable('the answer is not a list');
  return answer;
}

function parseEntry(entry: unknown, position: number): NetworkInterface {
  const link = v.safeParse(ipLinkSchema, entry);
  if (!link.success) throw unreadable(`${nameOf(entry, position)}: ${v.summarize(link.issues)}`);
  return toInterface(link.output);
}

function toInterface(link: v.InferOutput<typeof ipLinkSchema>): NetworkInterface {
  const { address, linkinfo, master } = link;
  const addresses: BoundAddress[] = [];
  const unread: { text: string; why: string }[] = [];
  for (const info of link.addr_info.filter(({ family }) => family === 'inet' || family === 'inet6')) {
    const parsed = v.safeParse(addrInfoSchema, info);
    if (parsed.success) addresses.push(toBoundAddress(parsed.output));
    else unread.push({ text: clip(textOf(info)), why: clip(whyUnread(info, parsed.issues)) });
  }
  return {
    index: link.ifindex,
    name: link.ifname,
    // Only Ethernet: tunnels give their local end here, loopback gives zeros.
    ...(link.link_type === 'ether' && address !== undefined ? { mac: address.toLowerCase() } : {}),
    mtu: link.mtu,
    operState: link.operstate.toLowerCase(),
    flags: link.flags,
    ...(linkinfo?.info_kind === undefined ? {} : { kind: linkinfo.info_kind }),
    ...(master === undefined ? {} : { controller: master }),
    addresses,
    ...(unread.length === 0
      ? {}
      : {
          unread: {
            listed: unread.slice(0, maxUnreadListed),
            more: Math.max(0, unread.length - maxUnreadListed),
          },
        }),
  };
}

function toBoundAddress(info: v.InferOutput<typeof addrInfoSchema>): BoundAddress {
  const { local, prefixlen, scope, label, preferred_life_time, valid_life_time } = info;
  return {
    address: local,
    prefixLength: prefixlen,
    scope,
    ...(label === undefined ? {} : { label }),
    flags: Object.entries(info)
      .filter(([, value]) => value === true)
      .map(([flag]) => flag),
    ...(preferred_life_time === forever ? {} : { preferredLifetime: preferred_life_time }),
    ...(valid_life_time === forever ? {} : { validLifetime: valid_life_time }),
  };
}

/** An entry of `addr_info` as people know it, or whole where it is stranger than that. */
function textOf(info: object): string {
  const plain = v.safeParse(v.object({ local: v.string(), prefixlen: v.number() }), info);
  return plain.success ? `${plain.output.local}/${plain.output.prefixlen}` : JSON.stringify(info);
}

function whyUnread(info: object, issues: Parameters<typeof v.summarize>[0]): string {
  const plain = v.safeParse(v.object({ local: v.string() }), info);
  const socket = plain.success ? parseSocketAddress(plain.output.local) : undefined;
  return socket?.mapped === true ? `IPv4-mapped: ${socket.address}` : v.summarize(issues);
}

function clip(words: string): string {
  const line = words.replaceAll(/\s+/g, ' ');
  return line.length <= longestUnread ? line : `${line.slice(0, longestUnread)}…`;
}

function nameOf(entry: unknown, position: number): string {
  const named = v.safeParse(v.object({ ifname: v.string() }), entry);
  return named.success ? named.output.ifname : `entry ${position + 1}`;
}

function unreadable(why: string, cause?: unknown): RlnetError {
  return new RlnetError(
    'OUTPUT_UNREADABLE',
    `${queryText} is not understood: ${why.replaceAll(/\s+/g, ' ')}`,
    `Report this with the output of ${queryText}.`,
    { cause },
  );
}

/**
 * One `ip monitor` after the other, for as long as somebody watches. What it prints is never read: that it printed is the
 * hint. (Its `-j` does not work.)
 */
function watch(exec: Exec, clock: Clock, onHint: () => void): { close(): void } {
  const hint = inBursts(clock, onHint);
  let monitor: RunningProgram;
  let timer: Timer;
  let restartMs = firstRestartMs;
  let closed = false;

  const start = (): void => {
    const startedAt = clock.monotonic();
    monitor = exec.lines('ip', ['monitor', 'link', 'address'], hint.event);
    timer = clock.after(monitorStartMs, hint.event);
    void monitor.ended.then(() => {
      if (closed) return;
      timer.cancel();
      if (clock.monotonic() - startedAt > longestRestartMs) restartMs = firstRestartMs;
      timer = clock.after(restartMs, start);
      restartMs = Math.min(2 * restartMs, longestRestartMs);
      hint.event();
    });
  };

  start();
  return {
    close: () => {
      closed = true;
      timer.cancel();
      hint.cancel();
      monitor.stop();
    },
  };
}
