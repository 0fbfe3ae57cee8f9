import * as v from 'valibot';
import { type Address, familyOf, tryParseAddress } from '../protocol/address.ts';
import { RlnetError } from '../protocol/errors.ts';
import { addressSchema } from '../protocol/schema.ts';
import { macSchema, type Neighbour } from '../protocol/wire.ts';
import { commandFailed, type Exec, type RunningProgram } from './ports/exec.ts';

const timeoutMs = 5_000;
/** About 150 bytes an entry; a table may hold tens of thousands on a host with containers. */
const maxBytes = 16 * 1024 * 1024;

const entrySchema = v.object({
  dst: addressSchema,
  dev: v.string(),
  lladdr: v.optional(v.string()),
  state: v.optional(v.array(v.string()), []),
});

/** The neighbour tables, or what they have of one address. @throws as the port says */
export async function readNeighbours(
  exec: Exec,
  address: Address | undefined,
  signal?: AbortSignal,
): Promise<Neighbour[]> {
  // Without `nud all` those that somebody fixed as NOARP are left out, and would be deleted as nobody's.
  const query = ['-j', 'neigh', 'show', ...(address === undefined ? [] : ['to', address]), 'nud', 'all'];
  const options = { timeoutMs, maxBytes, ...(signal === undefined ? {} : { signal }) };
  const result = await exec.run('ip', query, options);
  if (result.exitCode !== 0) {
    throw commandFailed(`ip ${query.join(' ')}`, result, 'Run it by hand to see what is wrong with it.');
  }
  return parseNeighbours(result.stdout);
}

/**
 * The answer of `ip -j neigh show`. Entries of other families (a bridge's, MPLS) do not come up there; an entry that is not understood
 * is an error, as the one that is missing could be the one that matters.
 * @throws RlnetError OUTPUT_UNREADABLE
 */
export function parseNeighbours(text: string): Neighbour[] {
  let answer: unknown;
  try {
    // iproute2 prints nothing at all for an empty answer to some questions.
    answer = JSON.parse(text.trim() === '' ? '[]' : text);
  } catch (cause) {
    throw unreadable('it is not JSON', cause);
  }
  const parsed = v.safeParse(v.array(entrySchema), answer);
  if (!parsed.success) throw unreadable(v.summarize(parsed.issues));
  return parsed.output.map(({ dst, dev, lladdr, state }) => {
    // Tunnels have their far end's address here.
    const mac = v.safeParse(macSchema, lladdr);
    return { address: dst, interface: dev, ...(mac.success ? { mac: mac.output } : {}), states: state };
  });
}

function unreadable(why: string, cause?: unknown): RlnetError {
  return new RlnetError(
    'OUTPUT_UNREADABLE',
    `ip -j neigh is not understood: ${why.replaceAll(/\s+/g, ' ')}`,
    'Report this with the output of ip -j neigh.',
    { cause },
  );
}

/** Calls `told` for each link-layer address that the kernel learns on an interface, or forgets, from soon after the call on. */
export function monitorNeighbours(
  exec: Exec,
  link: string,
  told: (entry: { address: Address; mac: string }) => void,
): RunningProgram {
  return exec.lines('ip', ['monitor', 'neigh', 'dev', link], (line) => {
    const entry = parseMonitoredNeighbour(line);
    if (entry !== undefined) told(entry);
  });
}

/**
 * A line of `ip neigh`, or of `ip monitor neigh` (whose `-j` does not work): `[Deleted ]ADDRESS [dev NAME ]lladdr MAC [router ]STATE`.
 * @returns undefined for one without a link-layer address
 */
export function parseMonitoredNeighbour(line: string): { address: Address; mac: string } | undefined {
  const [, text = '', mac] = /^(?:Deleted )?(\S+) .*?\blladdr (\S+)/.exec(line) ?? [];
  const address = tryParseAddress(text);
  const parsed = v.safeParse(macSchema, mac);
  return address === undefined || !parsed.success ? undefined : { address, mac: parsed.output };
}

/** Forgets what the kernel knows of a neighbour, so that it asks anew. One that it does not know is no error. */
export async function forgetNeighbour(
  exec: Exec,
  link: string,
  address: Address,
  signal?: AbortSignal,
): Promise<void> {
  const options = { timeoutMs, ...(signal === undefined ? {} : { signal }) };
  await exec.run('ip', [flag(address), 'neigh', 'del', address, 'dev', link], options);
}

/** $1 is the link, $2 the address, $3 how often, $4 seconds in between. */
const solicitScript = `
  asked=0
  while [ "$asked" -lt "$3" ]; do
    ip -6 neigh del "$2" dev "$1" 2>/dev/null
    ip -6 neigh replace "$2" dev "$1" nud none use || exit
    asked=$((asked + 1))
    sleep "$4"
    ip -6 neigh show to "$2" dev "$1" nud all
  done`;

/**
 * Makes the kernel ask for an IPv6 neighbour some times (NTF_USE), each time as if there was a packet for one that it does not know. One
 * shell for all: on a host that has just booted, each process that this one waits for is late.
 * @param options.everyMs at least that long between two of them, and after the last
 * @returns the link-layer addresses that the table had of it after each of them
 * @throws RlnetError COMMAND_FAILED; what Exec throws.
 */
export async function solicitNeighbour(
  exec: Exec,
  link: string,
  address: Address,
  { times, everyMs }: { times: number; everyMs: number },
  signal?: AbortSignal,
): Promise<string[]> {
  const args = ['-c', solicitScript, 'sh', link, address, `${times}`, `${everyMs / 1000}`];
  const options = { timeoutMs, ...(signal === undefined ? {} : { signal }) };
  const result = await exec.run('sh', args, options);
  if (result.exitCode !== 0) {
    throw commandFailed(
      `ip neigh replace ${address} dev ${link} nud none use`,
      result,
      'Run it by hand to see what is wrong with it.',
    );
  }
  return result.stdout.split('\n').flatMap((line) => parseMonitoredNeighbour(line)?.mac ?? []);
}

function flag(address: Address): '-4' | '-6' {
  return familyOf(address) === 'ipv4' ? '-4' : '-6';
}

/**
 * Neighbour solicitations that have left an interface since it came up. The kernel counts one when all of its output took it: a
 * packet that a firewall drops (output, postrouting or egress), and one for a link without carrier, are not in it (measured on 6.18).
 */
export async function solicitationsSent(exec: Exec, link: string, signal?: AbortSignal): Promise<number> {
  const options = { timeoutMs, ...(signal === undefined ? {} : { signal }) };
  const path = `/proc/net/dev_snmp6/${link}`;
  const result = await exec.run('cat', [path], options);
  if (result.exitCode !== 0)
    throw commandFailed(`cat ${path}`, result, 'Check that IPv6 is on for this interface.');
  // A type that was never sent has no line.
  return Number(/^Icmp6OutType135\s+(\d+)$/m.exec(result.stdout)?.[1] ?? 0);
}
