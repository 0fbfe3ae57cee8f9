import type { AddressChange } from '../../protocol/address-change.ts';
import { RlnetError } from '../../protocol/errors.ts';
import { manualInstructions } from '../../protocol/manual-change.ts';
import { holdingOf } from '../../protocol/network-owner.ts';
import { sleep } from '../ports/clock.ts';
import type { NetworkOwner } from '../ports/network-owner.ts';
import { readBackup, requireBackup, writeBackup } from './backup.ts';
import { type FileOwnerPorts, missingInKernel, requireLink, requireSameChange } from './file-owner.ts';
import { locateAnywhere } from './known-files.ts';

/** How long a person is waited for. Milliseconds. */
const patienceMs = 30 * 60_000;

const pollMs = 2_000;

/**
 * A person makes the change (`network.owner: manual`). The plan says what to do; `persist` and `activate` wait until it is done, as the files and
 * the kernel show it, and `restore` until it is undone. Whether it lasts over a boot can be seen only of an address that a file names.
 * @param root where the host's file system begins, for hosts that are a folder of a test
 */
export function createManualOwner(ports: FileOwnerPorts, root = '/'): NetworkOwner {
  const { clock, outer, interfaces } = ports;

  /** @param missing what is still to be done; undefined when it is done */
  const waitFor = async (
    change: AddressChange,
    missing: () => Promise<string | undefined>,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<void> => {
    const deadline = clock.monotonic() + patienceMs;
    for (;;) {
      const what = await missing();
      if (what === undefined) return;
      if (clock.monotonic() >= deadline) {
        const instructions = manualInstructions(change, await locateAnywhere(change.from.address, root));
        throw new RlnetError(
          'OWNER_NOT_TAKEN_UP',
          `Nobody has made the change by hand within ${patienceMs / 60_000} min: ${what}.`,
          instructions.join(' '),
        );
      }
      await sleep(clock, pollMs, signal);
    }
  };

  const namedStill = async ({ from }: AddressChange): Promise<string | undefined> => {
    const [place] = await locateAnywhere(from.address, root);
    return place === undefined
      ? undefined
      : `${place.path}:${place.line} names ${from.address} (${place.text})`;
  };

  const backUp: NetworkOwner['backUp'] = async (change, directory, signal) => {
    const found = await readBackup(directory);
    if (found !== undefined) {
      requireSameChange(found, change, directory);
      return;
    }
    await requireLink(interfaces, change.link, signal);
    await writeBackup(outer, directory, change, []);
  };

  return {
    kind: 'manual',
    locate: (_link, address) => locateAnywhere(address, root),
    plan: async (change, signal) => {
      await requireLink(interfaces, change.link, signal);
      return {
        files: [],
        warnings: manualInstructions(change, await locateAnywhere(change.from.address, root)),
      };
    },
    backUp,
    persist: async (change, directory, signal) => {
      await backUp(change, directory, signal);
      await waitFor(change, () => namedStill(change), signal);
    },
    activate: async (change, signal) => {
      const missing = async () => missingInKernel(await requireLink(interfaces, change.link, signal), change);
      await waitFor(change, missing, signal);
    },
    readBack: async ({ from, to }) => {
      const [old, next] = [await locateAnywhere(from.address, root), await locateAnywhere(to.address, root)];
      return {
        files: holdingOf(old.length > 0, next.length > 0),
        owner: 'unknown',
        evidence: [...old, ...next].map(({ path, line, text }) => `${path}:${line}: ${text}`),
      };
    },
    restore: async (directory, signal) => {
      const { change } = await requireBackup(directory);
      const { from, to } = change;
      await waitFor(
        { ...change, from: to, to: from },
        () => namedStill({ ...change, from: to, to: from }),
        signal,
      );
    },
  };
}
