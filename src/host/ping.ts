import { type Address, familyOf } from '../protocol/address.ts';
import { commandFailed, type Exec } from './ports/exec.ts';
import type { Passage } from './ports/wire.ts';

/** IP and ICMP headers of an echo request, bytes. */
const headers = { ipv4: 28, ipv6: 48 } as const;
/** Tries of one size: the first packet to a neighbour can be lost to its resolution. */
const tries = 2;
/** Payload of an echo that passes wherever anything does. */
const smallBytes = 56;

/** One echo of ping(8) of iputils. */
export interface Echo {
  answered: boolean;
  /** What this host or a router said would have passed, bytes. */
  mtu?: number;
}

/** Whether an echo of `bytes` passes unfragmented. @throws what `echo` throws */
export async function measurePassage(
  exec: Exec,
  { source, target, bytes }: { source: Address; target: Address; bytes: number },
  signal?: AbortSignal,
): Promise<Passage> {
  const payload = Math.max(0, bytes - headers[familyOf(target)]);
  const from = ['-I', source];
  for (let attempt = 0; attempt < tries; attempt++) {
    const { answered, mtu } = await echo(exec, [...from, '-M', 'do', '-s', `${payload}`], target, signal);
    if (answered) return { outcome: 'passes' };
    if (mtu !== undefined) return { outcome: 'too-big', mtu };
  }
  const { answered } = await echo(exec, [...from, '-s', `${smallBytes}`], target, signal);
  if (answered) return { outcome: 'lost' };
  return { outcome: 'unknown', why: `${target} does not answer ${source} to echo requests of any size.` };
}

/**
 * Sends one echo request and waits a second for the answer.
 * @throws RlnetError COMMAND_FAILED with what ping said, where it could not ask; what Exec throws.
 */
export async function echo(
  exec: Exec,
  options: readonly string[],
  target: Address,
  signal?: AbortSignal,
): Promise<Echo> {
  const args = ['-n', '-c', '1', '-W', '1', ...options, target];
  const result = await exec.run('ping', args, {
    timeoutMs: 3_000,
    ...(signal === undefined ? {} : { signal }),
  });
  const parsed = parsePing(result.stdout + result.stderr);
  if (parsed !== undefined) return parsed;
  throw commandFailed(`ping ${args.join(' ')}`, result, 'Install ping of iputils.');
}

/** @returns undefined for what is no report of one echo, such as an error before it was sent */
export function parsePing(text: string): Echo | undefined {
  const received = /^\d+ packets transmitted, (\d+) received/m.exec(text)?.[1];
  if (received === undefined) return undefined;
  // `local error: message too long, mtu: 1400` (in older versions `mtu=`), `Frag needed and DF set (mtu = 1400)`, `Packet too big: mtu=1400`.
  const mtu = /(?:too long|too big|needed)\b.*\bmtu\s?[=:]\s?(\d+)/i.exec(text)?.[1];
  return { answered: received !== '0', ...(mtu === undefined ? {} : { mtu: Number(mtu) }) };
}
