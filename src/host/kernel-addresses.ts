import * as v from 'valibot';
import { type Family, familyOf } from '../protocol/address.ts';
import { type AddressChange, addressChangeSchema } from '../protocol/address-change.ts';
import { asRlnetError, RlnetError } from '../protocol/errors.ts';
import {
  compareSnapshots,
  type Difference,
  describeDifference,
  type KernelAddress,
  type NetworkSnapshot,
  networkSnapshotSchema,
  parseLinks,
} from '../protocol/network-snapshot.ts';
import { planRehearsal } from '../protocol/rehearsal.ts';
import { parseRoutes, parseRules, withLocks } from '../protocol/routing.ts';
import { planSwap } from '../protocol/swap.ts';
import { type Clock, sleep } from './ports/clock.ts';
import type { DetachedTimer } from './ports/detached-timer.ts';
import { commandFailed, type Exec } from './ports/exec.ts';
import type { Files } from './ports/files.ts';
import type { KernelAddresses, StandingChange } from './ports/kernel-addresses.ts';
import { batchOf, renderTakeBack, stateScript } from './take-back-script.ts';

/** Plenty: `ip` answers in milliseconds. */
const ipTimeoutMs = 5_000;

/** A host with a full routing table of a provider has a million routes; such a host is not meant. */
const ipMaxBytes = 64 * 1024 * 1024;

/** The script compares and tries again for some seconds at most, and waits for the lock for 20. */
const takeBackTimeoutMs = 60_000;

/** Less could be over before all hosts of the segment have been asked. */
const shortestBoundSeconds = 10;

/** One probe and a random delay of up to a second before it, each a second (RFC 4862, 5.4; `dad_transmits`), and a busy host. */
const detectionTimeoutMs = 8_000;
const detectionPollMs = 100;

/** The kernel makes some routes of an IPv6 address a moment after the address, so that what is not as planned is looked at again. */
const settleTries = 10;
const settlePollMs = 50;

/** Readings of a kernel whose routes change all the time. */
const longestTries = 5;

/** Two names, so that a new timer is armed before the old one is stopped. */
const timerNames = ['rlnet-take-back-a', 'rlnet-take-back-b'] as const;

/** What is begun here is brought to its end. */
const never = new AbortController().signal;

/** What `flock` and the script below it end with when the change has been taken back. */
const takenBackStatus = 75;

/**
 * @param directory absolute; for the standing change alone, on a file system that a boot empties, and that outlives this process
 */
export function createKernelAddresses(options: {
  exec: Exec;
  files: Files;
  clock: Clock;
  timer: DetachedTimer;
  directory: string;
}): KernelAddresses {
  const { exec, files, clock, timer, directory } = options;
  const path = {
    change: `${directory}/change.json`,
    script: `${directory}/take-back.sh`,
    forward: `${directory}/forward`,
    lock: `${directory}/lock`,
    takenBack: `${directory}/taken-back`,
    kept: `${directory}/kept`,
    result: `${directory}/result`,
  };

  const snapshot = (signal?: AbortSignal): Promise<NetworkSnapshot> => readSnapshot(exec, signal);

  const isThere = async (file: string): Promise<boolean> => (await files.readIfExists(file)) !== undefined;

  const standing = async (): Promise<StandingChange | undefined> => {
    const text = await files.readIfExists(path.change);
    // What is to stay does not stand any more, though whoever said so may have died before it cleared up.
    if (text === undefined || (await isThere(path.kept))) return undefined;
    return { ...v.parse(standingSchema, JSON.parse(text)), takenBack: await isThere(path.takenBack) };
  };

  const begin = async (
    kind: StandingChange['kind'],
    change: AddressChange,
    boundSeconds: number,
    free: Promise<void> = Promise.resolve(),
  ) => {
    // Where it is not come to any more, nobody else hears of it.
    free.catch(() => {});
    refuseShort(boundSeconds);
    await refuseUnderWay();
    const family = familyOf(change.from.address);
    const { before, state } = await readStill(change.link.name);
    const plan = kind === 'swap' ? planSwap(before, change) : planRehearsal(before, change);
    // What somebody left who died before it had cleared up: a timer of then would find the script of now. There is none without a change.
    if (await isThere(path.change)) await disarm();
    await clear();
    await files.makeDirectory(directory, 0o700);
    const title = `${kind} of ${change.from.address} for ${change.to.address} on ${change.link.name}`;
    const script = renderTakeBack({ title, directory, state, family, commands: plan.back });
    await files.create(path.script, script, 0o600);
    await succeed('sh', ['-n', path.script]);
    await files.create(path.forward, batchOf(plan.forward), 0o600);
    // Last: with it, the change stands.
    const stands = { kind, change, before, expected: plan.expected };
    await files.create(path.change, JSON.stringify(stands), 0o600);
    try {
      await timer.arm(timerNames[0], path.script, boundSeconds);
      await free;
      await runBatch(family, path.forward);
      return { elsewhere: await verify(plan.expected, change) };
    } catch (thrown) {
      throw await takenBackBecause(thrown);
    }
  };

  /** Right after a boot the link-local address is still looked for elsewhere, and gets its route after that: what was read before could never be had back. */
  const readSettled = async (link: string): Promise<NetworkSnapshot> => {
    const until = clock.monotonic() + detectionTimeoutMs;
    for (;;) {
      const seen = await snapshot();
      const settles = seen.addresses.some((bound) => bound.link === link && isInDetection(bound));
      if (!settles || clock.monotonic() > until) return seen;
      await sleep(clock, detectionPollMs, never);
    }
  };

  /** The kernel's state as both of our readers see it, when nothing changed between the two. */
  const readStill = async (link: string): Promise<{ before: NetworkSnapshot; state: string }> => {
    for (let tries = 1; ; tries++) {
      const before = await readSettled(link);
      const state = await succeed('sh', ['-c', stateScript]);
      const differences = compareSnapshots(before, await snapshot());
      if (differences.length === 0) return { before, state };
      if (tries === longestTries) {
        throw new RlnetError(
          'KERNEL_NOT_AS_PLANNED',
          `Addresses and routes of this host change all the time: ${listed(differences)}.`,
          'Look at ip monitor for what changes them, and try again when it is quiet.',
        );
      }
    }
  };

  /** Under the lock, and never after the change was taken back. */
  const underLock = async (script: string, ...args: string[]): Promise<string> => {
    const guard = `[ -e "$1" ] && exit ${takenBackStatus}; shift; ${script}`;
    return succeed('flock', ['--wait', '5', path.lock, 'sh', '-c', guard, 'sh', path.takenBack, ...args]);
  };

  const runBatch = (family: Family, file: string): Promise<string> =>
    underLock('exec ip "$1" -batch "$2"', family === 'ipv4' ? '-4' : '-6', file);

  const succeed = async (file: string, args: readonly string[], timeoutMs = ipTimeoutMs): Promise<string> => {
    const result = await exec.run(file, args, { timeoutMs, maxBytes: ipMaxBytes });
    if (result.exitCode === takenBackStatus) throw tooLate();
    if (result.exitCode !== 0) {
      throw commandFailed([file, ...args].join(' '), result, 'Run it by hand to see what is wrong with it.');
    }
    return result.stdout;
  };

  /** @returns what has changed that is not ours */
  const verify = async (expected: NetworkSnapshot, change: AddressChange): Promise<Difference[]> => {
    for (let tries = 1; ; tries++) {
      const differences = compareSnapshots(expected, await snapshot());
      const ours = differences.filter((difference) => concerns(difference, change));
      if (ours.length === 0) return differences;
      if (tries === settleTries) {
        throw new RlnetError(
          'KERNEL_NOT_AS_PLANNED',
          `Addresses and routes are not as they should be: ${listed(ours)}.`,
          `Compare ip addr, ip route show table all and ip rule with ${path.change}.`,
        );
      }
      await sleep(clock, settlePollMs, never);
    }
  };

  const takenBackBecause = async (thrown: unknown): Promise<RlnetError> => {
    const error = asRlnetError(thrown);
    try {
      await takeBack();
      return error;
    } catch (failure) {
      return new RlnetError(
        error.code,
        `${error.message} Taking it back failed too: ${asRlnetError(failure).message}`,
        `Run sh ${path.script}; a timer does so by itself when the bound is over.`,
        { cause: thrown },
      );
    }
  };

  const takeBack = async () => {
    const stands = await standing();
    if (stands === undefined) return { elsewhere: [] };
    // Its exit status is no more than the script's opinion; what counts is read back.
    await exec.run('sh', [path.script], { timeoutMs: takeBackTimeoutMs });
    const elsewhere = await verify(stands.before, stands.change);
    await disarm();
    await clear();
    return { elsewhere };
  };

  const disarm = (): Promise<void> => timer.disarm(...timerNames);

  const clear = async (): Promise<void> => {
    // First, so that what is left after a crash is no standing change.
    for (const file of Object.values(path)) await files.remove(file);
    for (const file of ['before.txt', 'now.txt', 'back.log']) await files.remove(`${directory}/${file}`);
  };

  const refuseUnderWay = async (): Promise<void> => {
    const stands = await standing();
    if (stands === undefined) return;
    throw new RlnetError(
      'ADDRESS_CHANGE_UNDER_WAY',
      `A ${stands.kind} of ${stands.change.from.address} for ${stands.change.to.address} stands already.`,
      `Wait until it has been kept or taken back, or run sh ${path.script}.`,
    );
  };

  return {
    snapshot,
    standing,
    rehearse: (...wanted) => begin('rehearsal', ...wanted),
    swap: (...wanted) => begin('swap', ...wanted),
    extend: async (boundSeconds) => {
      refuseShort(boundSeconds);
      const [first, second] = timerNames;
      const [current, next] = (await timer.state(first)) === 'waiting' ? [first, second] : [second, first];
      // Left by an attempt that did not come to its end.
      await timer.disarm(next);
      await timer.arm(next, path.script, boundSeconds);
      await timer.disarm(current);
      await underLock('true');
    },
    keep: async () => {
      if ((await standing()) !== undefined) await underLock(': >"$1"', path.kept);
      await disarm();
      await clear();
    },
    takeBack,
  };
}

const standingSchema = v.object({
  kind: v.picklist(['rehearsal', 'swap']),
  change: addressChangeSchema,
  before: networkSnapshotSchema,
  expected: networkSnapshotSchema,
});

/** All that a snapshot is made of, in one process of ours; each answer ends with a NUL. JSON does not tell of locked metrics, so the text of routes is read too. */
const snapshotScript = [
  '-j -d addr',
  ...['-4', '-6'].flatMap((family) => [
    `-j -d ${family} route show table all`,
    `-d ${family} route show table all`,
    `-j -d ${family} rule`,
  ]),
]
  .map((query) => `ip ${query} && printf '\\0'`)
  .join(' && ');

async function readSnapshot(exec: Exec, signal?: AbortSignal): Promise<NetworkSnapshot> {
  for (let tries = 1; ; tries++) {
    const result = await exec.run('sh', ['-c', snapshotScript], {
      timeoutMs: ipTimeoutMs,
      maxBytes: ipMaxBytes,
      ...(signal === undefined ? {} : { signal }),
    });
    if (result.exitCode !== 0)
      throw commandFailed('ip', result, 'Run ip -j -d addr, route and rule by hand to see what is wrong.');
    const [links = '', ...answers] = result.stdout.split('\0');
    const [routes4 = '', text4 = '', rules4 = '', routes6 = '', text6 = '', rules6 = ''] = answers;
    const [ipv4, ipv6] = [
      withLocks(parseRoutes(routes4, 'ipv4'), text4),
      withLocks(parseRoutes(routes6, 'ipv6'), text6),
    ];
    if (ipv4 !== undefined && ipv6 !== undefined) {
      return {
        ...parseLinks(links),
        routes: [...ipv4, ...ipv6],
        rules: [...parseRules(rules4, 'ipv4'), ...parseRules(rules6, 'ipv6')],
      };
    }
    if (tries < longestTries) continue;
    throw new RlnetError(
      'OUTPUT_UNREADABLE',
      `ip route show table all does not show the same routes with -j as without, ${longestTries} times.`,
      'Look at ip monitor route for what changes them, and try again when it is quiet.',
    );
  }
}

/** Whether duplicate address detection goes on. */
function isInDetection({ flags }: KernelAddress): boolean {
  return flags.includes('tentative') && !flags.includes('dadfailed');
}

function refuseShort(boundSeconds: number): void {
  if (boundSeconds >= shortestBoundSeconds) return;
  throw new RlnetError(
    'ADDRESS_CHANGE_REFUSED',
    `A bound of ${boundSeconds} s is too short for a change of an address.`,
    `Give at least ${shortestBoundSeconds} s.`,
  );
}

function tooLate(): RlnetError {
  return new RlnetError(
    'ADDRESS_CHANGE_TAKEN_BACK',
    'The time of the change was over, and it has been taken back.',
    'Give it a longer bound and begin anew.',
  );
}

/** Whether it is on the link of the change, or about one of its addresses, or about the host as a whole. */
function concerns({ links, text }: Difference, { link, from, to }: AddressChange): boolean {
  if (links.length === 0 || links.includes(link.name)) return true;
  return text.split(/[ /]/).some((word) => word === from.address || word === to.address);
}

/** The most differences that a message names. */
const listedAtMost = 6;

function listed(differences: readonly Difference[]): string {
  const named = differences.slice(0, listedAtMost).map(describeDifference).join('; ');
  const more = differences.length - listedAtMost;
  return more > 0 ? `${named}; and ${more} more` : named;
}
