import { statfs } from 'node:fs/promises';
import { RlnetError } from '../protocol/errors.ts';
import type { PortRange, VitalsReader } from './ports/vitals.ts';

const sysctl = '/proc/sys/net';
/** 127.0.0.53 port 53 as /proc/net/udp has it: the address in the byte order of the machine, and all machines that rlnet runs on are little-endian. */
const stub = ' 3500007F:0035 ';

/**
 * @param readFile    a file of /proc or /run; undefined where it does not exist
 * @param directories whose file systems are looked at for room
 */
export function createVitalsReader(
  readFile: (path: string) => string | undefined,
  directories: readonly string[],
): VitalsReader {
  const roomIn = async (path: string) => {
    const { bavail, bfree, blocks, bsize } = await statfs(path);
    // What is reserved for root is there for the agent too.
    return { path, free: Math.max(bavail, bfree) * bsize, size: blocks * bsize };
  };
  return {
    async read() {
      return {
        localPorts: parsePortRange(readFile(`${sysctl}/ipv4/ip_local_port_range`) ?? ''),
        reservedPorts: parsePortRanges(readFile(`${sysctl}/ipv4/ip_local_reserved_ports`) ?? ''),
        ipv6: ipv6Of(
          readFile(`${sysctl}/ipv6/conf/all/disable_ipv6`),
          readFile(`${sysctl}/ipv6/conf/lo/disable_ipv6`),
        ),
        stubResolver: (readFile('/proc/net/udp') ?? '').includes(stub),
        rebootRequired: readFile('/run/reboot-required') !== undefined,
        room: await Promise.all(directories.map(roomIn)),
      };
    },
  };
}

/** @throws RlnetError OUTPUT_UNREADABLE */
export function parsePortRange(text: string): PortRange {
  const [, first, last] = /^(\d+)\s+(\d+)\s*$/.exec(text) ?? [];
  if (first === undefined || last === undefined) throw unreadable('ip_local_port_range', text);
  return { first: Number(first), last: Number(last) };
}

/**
 * Such as `8080,9148-9150`; empty for none.
 * @throws RlnetError OUTPUT_UNREADABLE
 */
export function parsePortRanges(text: string): PortRange[] {
  const list = text.trim();
  if (list === '') return [];
  return list.split(',').map((part) => {
    const [, first, last] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? [];
    if (first === undefined) throw unreadable('ip_local_reserved_ports', text);
    return { first: Number(first), last: Number(last ?? first) };
  });
}

function ipv6Of(all: string | undefined, loopback: string | undefined) {
  if (all === undefined) return 'absent';
  if (all.trim() !== '0') return 'disabled';
  return loopback !== undefined && loopback.trim() !== '0' ? 'disabled_on_loopback' : 'enabled';
}

function unreadable(name: string, text: string): RlnetError {
  return new RlnetError(
    'OUTPUT_UNREADABLE',
    `${name} reads ${JSON.stringify(text.slice(0, 80))}.`,
    'See sysctl net.ipv4.',
  );
}
