import { type Address, tryParseAddress } from '../protocol/address.ts';
import { RlnetError } from '../protocol/errors.ts';
import { commandFailed, type Exec } from './ports/exec.ts';

/** What one run of iputils' arping said. */
export interface ArpAnswers {
  /** Questions that the kernel took. Where a firewall drops them (netdev egress) or the link cannot send, there are none. */
  sent: number;
  /** Link-layer addresses of those who said that the address is theirs, in lower case, each once. */
  owners: string[];
}

/** It is asked for two seconds of work at most. */
const timeoutMs = 5_000;

/**
 * Runs arping(8) of iputils, and has it report after `waitMs`: its own bound is in whole seconds. Its exit status means something else in each mode and version (`-D` ends with 0 also where it could
 * not ask at all), so what it printed is the answer.
 * @throws RlnetError COMMAND_FAILED with what it said, where that is no report; what Exec throws.
 */
export async function runArping(
  exec: Exec,
  args: readonly string[],
  address: Address,
  { waitMs, signal }: { waitMs: number; signal?: AbortSignal | undefined },
): Promise<ArpAnswers> {
  const options = { timeoutMs, ...(signal === undefined ? {} : { signal }) };
  // It takes SIGINT for "that is enough", in every version.
  const bounded = ['--signal=INT', `${waitMs / 1000}`, 'arping', ...args, address];
  const result = await exec.run('timeout', bounded, options);
  const answers = parseArping(result.stdout, address);
  if (answers === undefined) {
    throw commandFailed(`arping ${args.join(' ')} ${address}`, result, 'Install arping of iputils.');
  }
  if (answers.sent === 0) {
    throw new RlnetError(
      'COMMAND_FAILED',
      `No ARP packet for ${address} could leave this host.`,
      'Look for a firewall that drops ARP: nft list ruleset.',
    );
  }
  return answers;
}

/**
 * The report of iputils' arping, versions 2016 to 2024.
 * @returns undefined for anything else, such as an error, another program of that name, or a report of another address
 */
export function parseArping(text: string, address: Address): ArpAnswers | undefined {
  const asked = /^ARPING (\S+) from \S+ /m.exec(text)?.[1];
  const sent = /^Sent (\d+) probes? \(/m.exec(text)?.[1];
  if (sent === undefined || asked !== address) return undefined;
  const owners = new Set<string>();
  for (const [, from = '', mac = ''] of text.matchAll(
    /^(?:Unicast|Broadcast) re(?:ply|quest) from (\S+) \[((?:[0-9A-Fa-f]{2}:)+[0-9A-Fa-f]{2})\]/gm,
  )) {
    if (tryParseAddress(from) === address) owners.add(mac.toLowerCase());
  }
  return { sent: Number(sent), owners: [...owners] };
}
