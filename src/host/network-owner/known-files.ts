import { readdir, readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { type Address, tryParseAddress } from '../../protocol/address.ts';
import { errnoOf } from '../../protocol/errors.ts';
import type { OwnerPlace } from '../../protocol/network-owner.ts';

/** Where the programs that configure networks have their files, whoever of them is in use. */
export const knownPlaces = [
  '/etc/systemd/network',
  '/etc/NetworkManager/system-connections',
  '/etc/netplan',
  '/etc/network',
  '/etc/sysconfig/network-scripts',
  '/etc/sysconfig/network',
  '/etc/dhcpcd.conf',
] as const;

/** The most of a file that is looked at, in bytes: configuration is small. */
const maxBytes = 1024 * 1024;

/**
 * Lines that name an address, comments apart, of all files in some places. Best effort: it knows no format, so that `sets` says only that
 * a line could put the address on a link. What cannot be read is passed over.
 * @param root where the host's file system begins, for hosts that are a folder of a test
 */
export async function locateAnywhere(address: Address, root = '/'): Promise<OwnerPlace[]> {
  const paths = new Set((await Promise.all(knownPlaces.map((place) => filesIn(join(root, place))))).flat());
  const found = await Promise.all(
    [...paths].toSorted().map(async (path) => {
      const text = (await readFile(path).catch(() => Buffer.of())).subarray(0, maxBytes).toString('latin1');
      return text
        .split('\n')
        .flatMap((line, index) =>
          names(line, address) ? [{ path, line: index + 1, text: line.trim(), sets: true }] : [],
        );
    }),
  );
  return found.flat();
}

function names(line: string, address: Address): boolean {
  if (/^\s*[#;!]/.test(line)) return false;
  return (line.match(/[0-9A-Fa-f:.]+/g) ?? []).some((word) => tryParseAddress(word) === address);
}

/** The real paths of a file, or of all files below a folder; hidden ones are nobody's configuration. */
async function filesIn(place: string): Promise<string[]> {
  try {
    const entries = await readdir(place, { withFileTypes: true, recursive: true });
    const named = entries.filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'));
    return await Promise.all(
      named.map(({ parentPath, name }) =>
        realpath(join(parentPath, name)).catch(() => join(parentPath, name)),
      ),
    );
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (errno === 'ENOTDIR') return [place];
    if (errno === undefined) throw thrown;
    return [];
  }
}
