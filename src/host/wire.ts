import { type Address, familyOf } from '../protocol/address.ts';
import { RlnetError } from '../protocol/errors.ts';
import { isActive, type NetworkInterface } from '../protocol/interfaces.ts';
import { foreignOwners, isStatic, maxOwners, type WireAnswer } from '../protocol/wire.ts';
import { runArping } from './arping.ts';
import {
  forgetNeighbour,
  monitorNeighbours,
  readNeighbours,
  solicitationsSent,
  solicitNeighbour,
} from './neighbours.ts';
import { echo, measurePassage } from './ping.ts';
import { type Clock, sleep } from './ports/clock.ts';
import type { Exec } from './ports/exec.ts';
import type { Interfaces } from './ports/interfaces.ts';
import type { Announcement, Unknown, Wire, WireQuestion } from './ports/wire.ts';
import { reachByTcp } from './tcp-reach.ts';

/** Enough for an owner that answers only every third to be heard twice. */
const probes = 7;
const spacingMs = 50;
/** Between two solicitations by the kernel; the three programs of each make it the spacing above. */
const solicitEveryMs = 40;
/** After the last question. An answer takes milliseconds; RFC 5227's seconds are for hosts that all start at once. */
const lastWaitMs = 300;
/** Where our own card has answered, others are waited for longer. */
const allAnswersMs = 1_000;
/** Nothing is waited for; a busy host takes its time to begin. */
const announcementMs = 200;
/** Echoes at once, each with a process that waits up to a second for its answer. */
const announcedAtOnce = 8;
const announcementTries = 4;

/** The wire of the network namespace that `exec` runs its programs in; `reach` is of this process's own. */
export function createWire(exec: Exec, interfaces: Interfaces, clock: Clock): Wire {
  const host = { exec, clock };
  return {
    ask: (question, signal) =>
      orUnknown(signal, async (): Promise<WireAnswer> => {
        const links = await interfaces.read(signal);
        const before = askable(links, question.interface);
        const ask = familyOf(question.address) === 'ipv4' ? askByArp : askByNdp;
        const answer = await ask(host, question, links, signal);
        if (answer.outcome !== 'silent') return answer;
        // An ARP probe for a link that loses its carrier is dropped without a word.
        const after = askable(await interfaces.read(signal), question.interface);
        if (after.index !== before.index || after.mac !== before.mac) {
          throw cannotAsk(`${question.interface} became another one meanwhile`);
        }
        return answer;
      }),
    neighbours: (signal) => readNeighbours(exec, undefined, signal),
    announce: (claim, signal) =>
      orUnknown(signal, async () => {
        askable(await interfaces.read(signal), claim.interface);
        const announce = familyOf(claim.address) === 'ipv4' ? announceByArp : announceByNdp;
        return { outcome: 'sent', answered: await announce(exec, claim, signal) };
      }),
    reach: async (path, signal) => {
      await forgetSearch(exec, path.target, signal);
      return await reachByTcp(clock, path, signal);
    },
    passes: (path, signal) => orUnknown(signal, () => measurePassage(exec, path, signal)),
  };
}

type Host = { exec: Exec; clock: Clock };

/** What could not be found out is an answer here, and says why. A defect of ours is none. */
async function orUnknown<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T | Unknown> {
  try {
    return await work();
  } catch (thrown) {
    signal?.throwIfAborted();
    if (thrown instanceof RlnetError) return { outcome: 'unknown', why: thrown.message };
    throw thrown;
  }
}

function cannotAsk(why: string): RlnetError {
  return new RlnetError('COMMAND_FAILED', `The wire could not be asked: ${why}.`, 'Look at ip -d link.');
}

/**
 * The kernel looks for a neighbour for three seconds, whoever wanted it, and fails everybody's connection when that search fails: one that
 * began before the address was there too. So a search that has found nobody yet is forgotten, and a new one begins.
 */
async function forgetSearch(exec: Exec, address: Address, signal?: AbortSignal): Promise<void> {
  const entries = await readNeighbours(exec, address, signal);
  const searches = entries.filter((entry) => entry.mac === undefined && !isStatic(entry));
  for (const { interface: link } of searches) await forgetNeighbour(exec, link, address, signal);
}

/** The link, if packets can leave it. @throws RlnetError that says why none can */
function askable(links: readonly NetworkInterface[], name: string): NetworkInterface {
  const link = links.find((each) => each.name === name);
  if (link === undefined) throw cannotAsk(`there is no interface ${name}`);
  if (!link.flags.includes('UP')) throw cannotAsk(`${name} is down`);
  if (!isActive(link)) throw cannotAsk(`${name} has no carrier (${link.operState})`);
  if (link.mac === undefined || link.flags.includes('NOARP')) {
    throw cannotAsk(`${name} is a link without neighbour resolution`);
  }
  return link;
}

function answered(owners: Iterable<string>): WireAnswer {
  return { outcome: 'answered', owners: [...owners].slice(0, maxOwners) };
}

// --- IPv4

/**
 * By arping of iputils, one process a question, as older versions know no interval. `-D` sends RFC 5227's probe in every version, but ends
 * at the first answer, which may be our own other card's and hide another host's: then once more, with all answers. (A
 * request from an address of ours instead of a probe: our own cards do not answer to that, but a host with `rp_filter` and
 * another subnet does not either.)
 */
async function askByArp(
  host: Host,
  { interface: link, address, source }: WireQuestion,
  own: readonly NetworkInterface[],
  signal?: AbortSignal,
): Promise<WireAnswer> {
  const hasForeign = (owners: ReadonlySet<string>): boolean => foreignOwners([...owners], own).length > 0;
  if (source !== undefined) {
    return await arpRound(
      host,
      ['-f', '-c', '1', '-w', '1', '-s', source, '-I', link],
      { address, waitMs: lastWaitMs, enough: hasForeign },
      signal,
    );
  }
  const probe = ['-D', '-c', '1', '-w', '1', '-I', link];
  const first = await arpRound(
    host,
    probe,
    { address, waitMs: lastWaitMs, enough: (owners) => owners.size > 0 },
    signal,
  );
  if (first.outcome !== 'answered' || hasForeign(new Set(first.owners))) return first;
  const all = ['-b', '-c', '8', '-w', '1', '-s', '0.0.0.0', '-I', link];
  const second = await arpRound(host, all, { address, waitMs: allAnswersMs, enough: hasForeign }, signal);
  return second.outcome === 'answered' ? answered(new Set([...first.owners, ...second.owners])) : first;
}

/** Asks until `enough` was heard. @throws RlnetError where a question could not be asked and nobody answered the others */
async function arpRound(
  { exec, clock }: Host,
  args: readonly string[],
  {
    address,
    waitMs,
    enough,
  }: { address: Address; waitMs: number; enough: (owners: ReadonlySet<string>) => boolean },
  signal?: AbortSignal,
): Promise<WireAnswer> {
  const over = new AbortController();
  const either = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
  const owners = new Set<string>();
  const troubles: unknown[] = [];
  const probe = async (_: unknown, index: number): Promise<void> => {
    try {
      await sleep(clock, index * spacingMs, either);
      const heard = await runArping(exec, args, address, { waitMs, signal: either });
      for (const owner of heard.owners) owners.add(owner);
      if (enough(owners)) over.abort();
    } catch (thrown) {
      if (!either.aborted) {
        troubles.push(thrown);
        over.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: probes }, probe));
  signal?.throwIfAborted();
  if (owners.size > 0) return answered(owners);
  if (troubles.length > 0) throw troubles[0];
  return { outcome: 'silent', probes };
}

// --- IPv6

/**
 * By the kernel: a neighbour that it has forgotten and is to use is solicited at once, from the link-local address, or from the
 * source of the packet that wants it. One that it already solicits is not until a second later, so it has to forget it each time.
 * Of several answers the table keeps one, the last mostly; `ip monitor` has told of each.
 */
async function askByNdp(
  { exec, clock }: Host,
  { interface: link, address, source }: WireQuestion,
  own: readonly NetworkInterface[],
  signal?: AbortSignal,
): Promise<WireAnswer> {
  const entry = async () =>
    (await readNeighbours(exec, address, signal)).find((each) => each.interface === link);
  const [before, sentBefore] = await Promise.all([entry(), solicitationsSent(exec, link, signal)]);
  if (before !== undefined && isStatic(before)) {
    throw cannotAsk(`${address} is fixed in the neighbour table of ${link} (${before.states.join(', ')})`);
  }
  const owners = new Set<string>();
  const troubles: unknown[] = [];
  const echoes: Promise<unknown>[] = [];
  const over = new AbortController();
  const either = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
  const heard = (mac: string | undefined): void => {
    if (mac === undefined) return;
    owners.add(mac);
    if (foreignOwners([mac], own).length > 0) over.abort();
  };
  const monitor = monitorNeighbours(exec, link, (told) => {
    if (told.address === address) heard(told.mac);
  });
  const echoRounds = async (from: Address): Promise<void> => {
    for (let asked = 0; asked < probes; asked += 1) {
      await forgetNeighbour(exec, link, address, either);
      echoes.push(echo(exec, ['-I', link, '-I', from], address, either).catch(failed));
      await sleep(clock, spacingMs, either);
      heard((await entry())?.mac);
    }
  };
  const rounds = { times: probes, everyMs: solicitEveryMs };
  try {
    if (source !== undefined) await echoRounds(source);
    else for (const mac of await solicitNeighbour(exec, link, address, rounds, either)) heard(mac);
    await sleep(clock, lastWaitMs, either);
    heard((await entry())?.mac);
  } catch (thrown) {
    signal?.throwIfAborted();
    if (!over.signal.aborted) throw thrown;
  } finally {
    over.abort();
    monitor.stop();
    await Promise.all([...echoes, monitor.ended]);
    // Also when the question is not wanted any more.
    if (before === undefined) await forgetNeighbour(exec, link, address);
  }
  if (owners.size > 0) return answered(owners);
  if (troubles.length > 0) throw troubles[0];
  const sent = (await solicitationsSent(exec, link, signal)) - sentBefore;
  if (sent >= probes) return { outcome: 'silent', probes };
  throw cannotAsk(
    `${sent} of ${probes} neighbour solicitations left ${link}; a firewall drops them, or ${link} has no link-local address`,
  );

  function failed(thrown: unknown): void {
    if (either.aborted) return;
    troubles.push(thrown);
    over.abort();
  }
}

// --- Announcements

/** Both kinds, as some hear only one: requests are what Linux sends by itself (`arp_notify`), replies what others expect. */
async function announceByArp(
  exec: Exec,
  { interface: link, address, neighbours }: Announcement,
  signal?: AbortSignal,
): Promise<Address[]> {
  const [heard] = await Promise.all([
    answering(neighbours, (neighbour) => answersTo(exec, ['-I', link, '-I', address], neighbour, signal)),
    ...['-U', '-A'].map((kind) =>
      runArping(exec, [kind, '-c', '1', '-I', link], address, { waitMs: announcementMs, signal }),
    ),
  ]);
  return heard;
}

/** @throws RlnetError COMMAND_FAILED where fewer solicitations left than there are neighbours */
async function announceByNdp(
  exec: Exec,
  { interface: link, address, neighbours }: Announcement,
  signal?: AbortSignal,
): Promise<Address[]> {
  const known = (await readNeighbours(exec, undefined, signal)).filter((each) => each.interface === link);
  const fixed = new Set(known.filter(isStatic).map((each) => each.address));
  const sentBefore = await solicitationsSent(exec, link, signal);
  const heard = await answering(neighbours, async (neighbour) => {
    if (!fixed.has(neighbour)) await forgetNeighbour(exec, link, neighbour, signal);
    return await answersTo(exec, ['-I', link, '-I', address], neighbour, signal);
  });
  const sent = (await solicitationsSent(exec, link, signal)) - sentBefore;
  const told = neighbours.filter((neighbour) => !fixed.has(neighbour)).length;
  if (sent >= told) return heard;
  throw cannotAsk(
    `${sent} of ${told} neighbour solicitations for the announcement of ${address} left ${link}`,
  );
}

async function answersTo(
  exec: Exec,
  source: readonly string[],
  neighbour: Address,
  signal?: AbortSignal,
): Promise<boolean> {
  return (await echo(exec, source, neighbour, signal)).answered;
}

/** Those who answer within a few tries. */
async function answering(
  neighbours: readonly Address[],
  answers: (neighbour: Address) => Promise<boolean>,
): Promise<Address[]> {
  const heard: Address[] = [];
  let silent = [...neighbours];
  for (let attempt = 0; attempt < announcementTries && silent.length > 0; attempt++) {
    const still: Address[] = [];
    for (let first = 0; first < silent.length; first += announcedAtOnce) {
      const tried = silent.slice(first, first + announcedAtOnce);
      const results = await Promise.all(tried.map(answers));
      for (const [index, neighbour] of tried.entries())
        (results[index] === true ? heard : still).push(neighbour);
    }
    silent = still;
  }
  return heard;
}
