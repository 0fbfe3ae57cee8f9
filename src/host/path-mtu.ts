import { type Address, parseSocketAddress } from '../protocol/address.ts';
import type { Exec } from './ports/exec.ts';
import type { PathMtus } from './ports/path-mtu.ts';

/** From `ss -ti` of iproute2. */
export function createPathMtus(exec: Exec): PathMtus {
  return {
    async read(port) {
      const filter = [
        'state',
        'established',
        '(',
        'sport',
        '=',
        `:${port}`,
        'or',
        'dport',
        '=',
        `:${port}`,
        ')',
      ];
      const { exitCode, stdout } = await exec.run('ss', ['-tinH', ...filter], { timeoutMs: 5_000 });
      return exitCode === 0 ? parsePathMtus(stdout) : new Map<Address, number>();
    },
  };
}

/** A socket is a line that ends in the other end's address, and an indented line of details after it. */
export function parsePathMtus(text: string): Map<Address, number> {
  const found = new Map<Address, number>();
  let other: Address | undefined;
  for (const line of text.split('\n')) {
    if (/^\s/.test(line)) {
      const mtu = /\bpmtu:(\d+)/.exec(line)?.[1];
      if (other !== undefined && mtu !== undefined) found.set(other, Number(mtu));
    } else {
      const end = line.trim().split(/\s+/).at(-1) ?? '';
      const host = end.slice(0, end.lastIndexOf(':')).replace(/^\[|\]$/g, '');
      other = parseSocketAddress(host)?.address;
    }
  }
  return found;
}
