import {
  type Address,
  familyOf,
  type InterfaceAddress,
  isWithin,
  tryParseAddress,
} from '../../protocol/address.ts';
import type { KernelAddress } from '../../protocol/network-snapshot.ts';

/*
 * What `ifup --no-act --verbose` prints: the commands that it would run, one a line, in the words of ifupdown and of the operator's hooks. Pure.
 */

/** The commands in what ifup or ifdown printed. */
export function commandsIn(output: string): string[] {
  return output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^(ifup|ifdown|ifquery|run-parts)\b/.test(line));
}

/** Those of `lines` that `others` has not, each as many times as it has more of it. */
export function without(lines: readonly string[], others: readonly string[]): string[] {
  const left = [...others];
  return lines.filter((line) => {
    const at = left.indexOf(line);
    if (at < 0) return true;
    left.splice(at, 1);
    return false;
  });
}

/** One command of `ip` that makes something, in the words that would unmake it, but for its verb. */
const making =
  /^((?:\/(?:usr\/)?s?bin\/)?ip(?:\s+-[46])?\s+(?:a|addr|address|r|ro|route|ru|rule))\s+(?:a|add|replace)\s+([^;&|<>`$()]*?)(?:\s*2>\s*\/dev\/null)?(?:\s*(?:\|\||;)\s*(?:true|:))?$/;

/** Whether the kernel refuses it where it has been done already, so that it can be run again. */
export function isRepeatable(command: string): boolean {
  return making.test(command);
}

/** What takes away again what the command has made; undefined where that cannot be told from its words. */
export function inverseOf(command: string): string | undefined {
  const [, object, words] = making.exec(command) ?? [];
  return object === undefined ? undefined : `${object} del ${words?.trim()}`;
}

/** What `ip` says where the kernel has it already. */
export function saysItIsThere(stderr: string): boolean {
  return /File exists|already assigned/i.test(stderr);
}

/** The address that a command puts on a link. */
function addedBy(command: string): Address | undefined {
  const [, word = ''] =
    /^(?:\/(?:usr\/)?s?bin\/)?ip(?:\s+-[46])?\s+a(?:ddr(?:ess)?)?\s+(?:a|add|replace)\s+([0-9A-Fa-f:.]+)/.exec(
      command,
    ) ?? [];
  return tryParseAddress(word);
}

/** The command that puts the address on a link. */
export function addCommandOf(commands: readonly string[], address: Address): string | undefined {
  return commands.find((command) => addedBy(command) === address);
}

/**
 * The addresses that have to go and come again, for the new one to be the first of its network as a boot makes it: of an IPv4 network the first
 * address is the one that the kernel sends from, all others are secondary.
 */
export function toPutBehind(
  commands: readonly string[],
  to: InterfaceAddress,
  bound: readonly KernelAddress[],
): KernelAddress[] {
  const order = commands.flatMap((command) => addedBy(command) ?? []);
  const later = order.slice(order.indexOf(to.address) + 1);
  const there = bound.find(({ address }) => address === to.address);
  if (familyOf(to.address) === 'ipv6' || (there !== undefined && !there.flags.includes('secondary')))
    return [];
  return bound.filter(
    ({ address, prefixLength }) =>
      later.includes(address) && prefixLength === to.prefixLength && isWithin(address, to),
  );
}

/** Whether the kernel has the address as that command makes it, but for its prefix length. */
export function isAsMade(bound: KernelAddress, command: string): boolean {
  const words = command.split(/\s+/);
  const after = (name: string): string | undefined => {
    const at = words.indexOf(name);
    return at < 0 ? undefined : words[at + 1];
  };
  const broadcast = after('broadcast') ?? after('brd');
  const sameBroadcast =
    broadcast === '+'
      ? bound.broadcast !== undefined
      : broadcast === '-' || broadcast === undefined
        ? bound.broadcast === undefined
        : bound.broadcast === tryParseAddress(broadcast);
  const flags = bound.flags.filter((flag) => flag !== 'secondary' && flag !== 'tentative');
  const label = after('label');
  return sameBroadcast && flags.length === 0 && (label === undefined || bound.label === label);
}
