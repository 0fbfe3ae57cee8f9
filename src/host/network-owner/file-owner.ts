import { isDeepStrictEqual } from 'node:util';
import type { Address } from '../../protocol/address.ts';
import type { AddressChange, LinkIdentity } from '../../protocol/address-change.ts';
import { RlnetError } from '../../protocol/errors.ts';
import type { NetworkInterface } from '../../protocol/interfaces.ts';
import { holdingOf, type OwnerKind, type OwnerReading } from '../../protocol/network-owner.ts';
import { type Clock, sleep } from '../ports/clock.ts';
import type { Exec } from '../ports/exec.ts';
import type { Interfaces } from '../ports/interfaces.ts';
import type { NetworkOwner } from '../ports/network-owner.ts';
import type { OwnerAdapter, OwnerReport } from './adapter.ts';
import {
  type Backup,
  filesChanged,
  invalid,
  readBackup,
  readEdits,
  requireBackup,
  runBackupScript,
  stateOf,
  strayAttributes,
  writeBackup,
  writeFailed,
} from './backup.ts';

/**
 * How long an owner may take to put an address on a link. Detection of duplicates takes 1 to 2 s (RFC 4862), ifupdown waits for it in
 * steps of its own, and networkd is at work for 12 s where it asks for routers and none answers (measured, 252).
 */
const takeUpMs = 60_000;

const pollMs = 200;

export interface FileOwnerPorts {
  exec: Exec;
  /**
   * Runs outside of the sandbox of our unit, where there is one: programs that are not ours and write where they like, and what copies files with
   * attributes that root alone can see.
   */
  outer: Pick<Exec, 'run'>;
  clock: Clock;
  interfaces: Pick<Interfaces, 'read'>;
}

/** An owner whose configuration is files: all that does not depend on which one it is. */
export function createFileOwner<C>(adapter: OwnerAdapter<C>, ports: FileOwnerPorts): NetworkOwner {
  const { outer, interfaces } = ports;

  const plan: NetworkOwner['plan'] = async (change, signal) => {
    const { link, from, to } = change;
    const { addresses } = await requireLink(interfaces, link, signal);
    const configuration = await adapter.read(link, signal);
    const { files, warnings } = adapter.edit(configuration, change);
    const isSet = (address: Address): boolean =>
      adapter.locate(configuration, link, address).some(({ sets }) => sets);
    const foreign = addresses.filter(
      ({ address, scope, flags }) =>
        ![from.address, to.address].includes(address) &&
        scope === 'global' &&
        !flags.includes('dynamic') &&
        !isSet(address),
    );
    return {
      files,
      warnings: [
        ...warnings,
        ...foreign.map(
          ({ address }) =>
            `${address} is on ${link.name} and in no file of ${adapter.kind}: it can go when the change is taken up, and is not there after a boot.`,
        ),
      ],
    };
  };

  const backUp = async (change: AddressChange, directory: string, signal?: AbortSignal): Promise<Backup> => {
    const found = await readBackup(directory);
    if (found !== undefined) return requireSameChange(found, change, directory);
    const { files } = await plan(change, signal);
    signal?.throwIfAborted();
    await writeBackup(outer, directory, change, files);
    return requireBackup(directory);
  };

  const restore: NetworkOwner['restore'] = async (directory, signal) => {
    const { files } = await requireBackup(directory);
    signal?.throwIfAborted();
    await runBackupScript(outer, directory, 'restore.sh');
    for (const file of files) await requireState(file, 'before');
  };

  return {
    kind: adapter.kind,
    plan,
    restore,
    locate: async (link, address, signal) => adapter.locate(await adapter.read(link, signal), link, address),
    backUp: async (...args) => {
      await backUp(...args);
    },
    persist: async (change, directory, signal) => {
      await requireLink(interfaces, change.link, signal);
      const { files } = await backUp(change, directory, signal);
      for (const file of files) await refuseForeignEdit(file, directory);
      signal?.throwIfAborted();
      try {
        // Not to be aborted in the middle: it takes milliseconds, and what was begun is better ended.
        await runBackupScript(outer, directory, 'persist.sh');
        for (const file of files) await requireState(file, 'after');
        await adapter.judge(await readEdits(files, directory), signal);
      } catch (thrown) {
        await restore(directory);
        throw thrown;
      }
    },
    activate: async (change, signal) => {
      await requireLink(interfaces, change.link, signal);
      await adapter.takeUp(change, signal);
      await waitUntilTakenUp(adapter, ports, change, signal);
    },
    readBack: async (change, signal): Promise<OwnerReading> => {
      const { link, from, to } = change;
      const files = await adapter.read(link, signal);
      const old = adapter.locate(files, link, from.address);
      const next = adapter.locate(files, link, to.address);
      const { holding, evidence } = await adapter.report(change, signal);
      return {
        files: holdingOf(old.length > 0, next.length > 0),
        owner: holding,
        evidence: [
          ...[...old, ...next].map(({ path, line, text }) => `${path}:${line}: ${text.trim()}`),
          evidence,
        ],
      };
    },
  };
}

/** @throws RlnetError OWNER_LINK_GONE */
export async function requireLink(
  interfaces: Pick<Interfaces, 'read'>,
  { name, mac }: LinkIdentity,
  signal?: AbortSignal,
): Promise<NetworkInterface> {
  const links = await interfaces.read(signal);
  const found = links.find((link) => link.name === name);
  if (found !== undefined && (mac === undefined || found.mac === mac)) return found;
  const renamed = mac === undefined ? undefined : links.find((link) => link.mac === mac);
  const seen =
    found === undefined ? `there is no link ${name}` : `${name} has the MAC address ${found.mac ?? 'none'}`;
  throw new RlnetError(
    'OWNER_LINK_GONE',
    `${seen}${renamed === undefined ? '' : `, and ${renamed.name} is the one with ${renamed.mac}`}.`,
    'Look at ip link on the host, and plan the change anew for the link that has the address.',
  );
}

export function requireSameChange(found: Backup, change: AddressChange, directory: string): Backup {
  // As JSON has it, which knows no members that are undefined.
  if (isDeepStrictEqual(found.change, JSON.parse(JSON.stringify(change)))) return found;
  const { link, from, to } = found.change;
  throw invalid(directory, `it is that of another change, ${from.address} to ${to.address} on ${link.name}`);
}

async function refuseForeignEdit(file: Backup['files'][number], directory: string): Promise<void> {
  const state = await stateOf(file);
  if (state === 'before' || state === 'after') return;
  throw filesChanged(file.path, state === 'missing' ? 'is not there any more' : 'has been edited', directory);
}

async function requireState(file: Backup['files'][number], wanted: 'before' | 'after'): Promise<void> {
  const state = await stateOf(file);
  if (state !== wanted) throw writeFailed(file.path, `the file reads back as ${state}, not as ${wanted}`);
  const stray = await strayAttributes(file);
  if (stray !== undefined) throw writeFailed(file.path, stray);
}

export async function waitUntilTakenUp(
  adapter: Pick<OwnerAdapter, 'kind' | 'report'>,
  { clock, interfaces }: FileOwnerPorts,
  change: AddressChange,
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  const deadline = clock.monotonic() + takeUpMs;
  for (;;) {
    const report = await adapter.report(change, signal);
    const missing = missingInKernel(await requireLink(interfaces, change.link, signal), change);
    const settled = report.holding === 'to' || report.holding === 'unknown';
    if (report.state === 'done' && settled && missing === undefined) return;
    if (report.state === 'failed' || clock.monotonic() >= deadline) {
      throw notTakenUp(adapter, change, report, missing);
    }
    await sleep(clock, pollMs, signal);
  }
}

function notTakenUp(
  { kind }: { kind: OwnerKind },
  { link }: AddressChange,
  { state, evidence }: OwnerReport,
  missing: string | undefined,
): RlnetError {
  const outcome = state === 'failed' ? 'failed' : `is ${state} after ${takeUpMs / 1000} s`;
  return new RlnetError(
    'OWNER_NOT_TAKEN_UP',
    `${kind} ${outcome} on ${link.name}: ${[evidence, ...(missing === undefined ? [] : [missing])].join('; ')}.`,
    'Look at the log of the owner; the files can be put back with restore.sh from the back-up.',
  );
}

/** What the kernel does not have yet; undefined when all is there. */
export function missingInKernel(
  { name, addresses }: NetworkInterface,
  { from, to }: AddressChange,
): string | undefined {
  const bound = addresses.find(({ address }) => address === to.address);
  if (bound === undefined) return `the kernel has no ${to.address} on ${name}`;
  if (bound.prefixLength !== to.prefixLength) {
    return `the kernel has ${to.address} with /${bound.prefixLength} and not /${to.prefixLength}`;
  }
  const bad = bound.flags.find((flag) => flag === 'tentative' || flag === 'dadfailed');
  if (bad !== undefined) return `${to.address} is ${bad}`;
  if (addresses.some(({ address }) => address === from.address)) {
    return `the kernel still has ${from.address} on ${name}`;
  }
  return undefined;
}
