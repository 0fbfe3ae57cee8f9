import { type Address, parseSocketAddress } from '../protocol/address.ts';
import type { Exec } from './ports/exec.ts';
import type { KnownPaths, Paths } from './ports/paths.ts';

/** From `ss -ti` of iproute2. */
export function createPaths(exec: Exec): Paths {
  return {
    async read(port) {
      const states = ['state', 'established', 'state', 'syn-recv'];
      const ports = ['(', 'sport', '=', `:${port}`, 'or', 'dport', '=', `:${port}`, ')'];
      const { exitCode, stdout } = await exec.run('ss', ['-tinH', ...states, ...ports], {
        timeoutMs: 5_000,
      });
      return parsePaths(exitCode === 0 ? stdout : '');
    },
  };
}

/** A socket is a line that begins with its state and ends in the other end's address, and an indented line of details after it. */
export function parsePaths(text: string): KnownPaths {
  const mtus = new Map<Address, number>();
  const unanswered = new Set<Address>();
  let other: Address | undefined;
  for (const line of text.split('\n')) {
    if (/^\s/.test(line)) {
      const mtu = /\bpmtu:(\d+)/.exec(line)?.[1];
      if (other !== undefined && mtu !== undefined) mtus.set(other, Number(mtu));
    } else {
      const end = line.trim().split(/\s+/).at(-1) ?? '';
      const host = end.slice(0, end.lastIndexOf(':')).replace(/^\[|\]$/g, '');
      other = parseSocketAddress(host)?.address;
      if (other !== undefined && line.startsWith('SYN-RECV')) unanswered.add(other);
    }
  }
  return { mtus, unanswered };
}
