import { constants } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { AddressChange } from '../../protocol/address-change.ts';
import { errnoOf, RlnetError } from '../../protocol/errors.ts';
import type { Holding } from '../../protocol/network-owner.ts';
import { sleep } from '../ports/clock.ts';
import type { ExecResult } from '../ports/exec.ts';
import type { NetworkOwner } from '../ports/network-owner.ts';
import { readBackup, requireBackup, writeBackup } from './backup.ts';
import { type FileOwnerPorts, requireLink, requireSameChange, waitUntilTakenUp } from './file-owner.ts';

/** How long a phase of the hook may take in all, tries again included: cloud APIs take seconds, and some tens of them at worst. */
const phaseMs = 5 * 60_000;

/** Between two tries. */
const againMs = 5_000;

/** EX_TEMPFAIL of sysexits.h. */
const tryAgain = 75;

/** What a hook is asked for, in its contract's words (docs/network-owners.md). */
type Phase = 'persist' | 'activate' | 'readBack' | 'restore';

/**
 * An operator's program makes the change (`network.owner: hook`).
 * @param path of the program
 */
export function createHookOwner(path: string, ports: FileOwnerPorts): NetworkOwner {
  const { clock, outer, interfaces } = ports;

  const call = async (
    phase: Phase,
    change: AddressChange,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<ExecResult> => {
    const deadline = clock.monotonic() + phaseMs;
    const request = JSON.stringify({ version: 1, phase, ...change });
    for (;;) {
      await requireTrustworthy(path);
      const result = await outer.run('sh', ['-c', 'printf "%s\\n" "$2" | "$1"', 'sh', path, request], {
        timeoutMs: Math.max(1, deadline - clock.monotonic()),
        signal,
      });
      if (result.exitCode === 0) return result;
      if (result.exitCode !== tryAgain || clock.monotonic() + againMs >= deadline) {
        throw failed(phase, `ended with exit status ${result.exitCode}`, result);
      }
      await sleep(clock, againMs, signal);
    }
  };

  const failed = (phase: Phase, how: string, { stdout, stderr }: ExecResult): RlnetError => {
    const said = (stderr.trim() || stdout.trim()).replaceAll(/\s+/g, ' ').slice(0, 300);
    return new RlnetError(
      'OWNER_HOOK_FAILED',
      `${path} ${how} in the phase ${phase}${said === '' ? '' : `: ${said}`}.`,
      'Put right what it says; what it has done so far is for it to know, and each of its phases can be repeated.',
    );
  };

  const backUp: NetworkOwner['backUp'] = async (change, directory, signal) => {
    const found = await readBackup(directory);
    if (found !== undefined) {
      requireSameChange(found, change, directory);
      return;
    }
    await requireLink(interfaces, change.link, signal);
    await requireTrustworthy(path);
    await writeBackup(outer, directory, change, []);
  };

  return {
    kind: 'hook',
    // A hook is asked about changes only.
    locate: async () => [],
    plan: async (change, signal) => {
      await requireLink(interfaces, change.link, signal);
      await requireTrustworthy(path);
      return {
        files: [],
        warnings: [
          `${path} makes the change, and rlnet sees of it what it answers and what the kernel shows.`,
        ],
      };
    },
    backUp,
    persist: async (change, directory, signal) => {
      await requireLink(interfaces, change.link, signal);
      await backUp(change, directory, signal);
      await call('persist', change, signal);
    },
    activate: async (change, signal) => {
      await requireLink(interfaces, change.link, signal);
      await call('activate', change, signal);
      const report = async () =>
        ({ state: 'done', holding: 'unknown', evidence: `${path} ended with exit status 0` }) as const;
      await waitUntilTakenUp({ kind: 'hook', report }, ports, change, signal);
    },
    readBack: async (change, signal) => {
      const result = await call('readBack', change, signal);
      const word = result.stdout.trim();
      const files = holdings.find((each) => each === word);
      if (files === undefined) throw failed('readBack', `did not answer ${holdings.join(', ')}`, result);
      return { files, owner: 'unknown', evidence: [`${path} says ${word}`] };
    },
    restore: async (directory, signal) => {
      const { change } = await requireBackup(directory);
      await call('restore', change, signal);
    },
  };
}

const holdings: readonly Holding[] = ['from', 'to', 'both', 'neither'];

/**
 * It runs as root, so nobody else may be able to write it.
 * @throws RlnetError OWNER_HOOK_REFUSED
 */
export async function requireTrustworthy(path: string): Promise<void> {
  const why = await whyNotTrusted(path);
  if (why === undefined) return;
  throw new RlnetError(
    'OWNER_HOOK_REFUSED',
    `The hook ${path} is not run: ${why}.`,
    `Let it be a file that root owns and nobody else can write: chown root:root ${path} && chmod 0755 ${path}.`,
  );
}

async function whyNotTrusted(path: string): Promise<string | undefined> {
  try {
    const { mode, uid } = await stat(path);
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) return 'it is no regular file';
    if (uid !== 0) return `it is owned by uid ${uid} and not by root`;
    if ((mode & 0o022) !== 0)
      return `others than its owner can write it (mode ${(mode & 0o7777).toString(8)})`;
    return (mode & 0o100) === 0 ? 'it is not executable' : undefined;
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (errno === undefined) throw thrown;
    return errno;
  }
}
