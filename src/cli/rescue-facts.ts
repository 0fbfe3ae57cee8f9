import * as v from 'valibot';
import { salvageJournal } from '../agent/renumbering/journal-text.ts';
import { decodeSettings, type Settings } from '../agent/settings.ts';
import { createBootClock } from '../host/boot-clock.ts';
import { lookAtDeadMan } from '../host/dead-man-look.ts';
import { createDetachedTimer } from '../host/detached-timer.ts';
import { createExec } from '../host/exec.ts';
import { createInterfaces } from '../host/interfaces.ts';
import { createKernelAddresses } from '../host/kernel-addresses.ts';
import { readBackup, stateOf } from '../host/network-owner/backup.ts';
import { createRs } from '../host/rs.ts';
import { createUnitControl } from '../host/unit-control.ts';
import { createUnits } from '../host/units.ts';
import { parseYamlDocument } from '../host/yaml.ts';
import type { Address } from '../protocol/address.ts';
import { asRlnetError, errnoOf, RlnetError } from '../protocol/errors.ts';
import type { Fact } from '../protocol/renumbering/guard.ts';
import { lockStateSchema } from '../protocol/renumbering/lock.ts';
import { progressOf } from '../protocol/renumbering/progress.ts';
import {
  type BackupFact,
  type JournalFact,
  type RescueFacts,
  readJournal,
  subjectOf,
} from '../protocol/renumbering/rescue-facts.ts';
import type { Context } from './context.ts';
import { withAgent } from './control-client.ts';

/** Everything that `rlnet rescue` goes by. Reads only; what cannot be read is a fact too. @throws RlnetError NOT_PERMITTED */
export async function readRescueFacts(
  context: Context,
  options: { config: string; rsAddress: Address | undefined },
): Promise<RescueFacts> {
  const { files, clock } = context;
  const exec = createExec();
  const { settings, trouble } = await readSettings(context, options.config);
  const { state, runtime } = settings.directories;
  const change = `${runtime}/address`;
  // First: what it goes on with meanwhile is in the journal that is read after it.
  const says = await attempt(() =>
    withAgent(context, runtime, async (client) => {
      const { hosts, seenFrom } = await client.call('status', {}, agentMs);
      return hosts.find(({ host }) => host === seenFrom)?.state?.renumbering;
    }),
  );
  const subject = subjectOf(await readJournals(context, state));
  const plan = subject === undefined ? undefined : readJournal(subject).plan;
  const now = await createBootClock(files).now();
  const units = createUnits(exec);
  const backup = `${state}/network/${subject?.planId ?? ''}`;
  const unit = async () =>
    plan?.unit.unit ?? (await units.discover(settings.rs.unit)) ?? 'rlec_supervisor.service';
  const kernel = createKernelAddresses({
    exec,
    files,
    clock,
    timer: createDetachedTimer(exec, clock),
    directory: change,
  });
  const isActive = async (name: string) => (await units.state(name)).activeState === 'active';
  const [lock, deadMan, agentUnit, interfaces, standing, backedUp, record, renderers, nodes] =
    await Promise.all([
      attempt(async () => {
        const text = await files.readIfExists(`${state}/lock.json`);
        return text === undefined ? undefined : v.parse(lockStateSchema, JSON.parse(text));
      }),
      lookAtDeadMan({ exec, files, directory: `${state}/dead-man` }, attempt, now.seconds),
      attempt(() => units.state('rlnet.service')),
      attempt(() => createInterfaces(exec, clock).read()),
      attempt(() => kernel.standing()),
      attempt(() => readBackedUp(backup)),
      attempt(async () => createUnitControl({ exec, files, clock }).record(await unit())),
      attempt(async () => ({
        networkd: await isActive('systemd-networkd.service'),
        NetworkManager: await isActive('NetworkManager.service'),
      })),
      attempt(() =>
        createRs(exec, files, {
          rladmin: settings.rs.rladmin,
          nodeIdFile: settings.rs.node_id_file,
        }).nodeTable(),
      ),
    ]);
  return {
    wall: clock.wall(),
    now,
    paths: {
      deadMan: `${state}/dead-man`,
      backup,
      change,
      rladmin: settings.rs.rladmin,
      hook: settings.network.hook,
    },
    configuration: trouble,
    subject,
    lock,
    deadMan,
    agent: { unit: agentUnit, says },
    interfaces,
    standing,
    backup: backedUp,
    unit: record,
    renderers,
    nodes,
    rsAddress: options.rsAddress,
  };
}

/** An agent that lives answers in milliseconds. */
const agentMs = 3_000;

/** The configuration without its certificates, which rescue has no use for; defaults where it is missing or broken. */
async function readSettings(
  { files }: Context,
  file: string,
): Promise<{ settings: Settings; trouble: string | undefined }> {
  const defaults = () => decodeSettings(parseYamlDocument('', file), file);
  try {
    return {
      settings: decodeSettings(parseYamlDocument(await files.read(file), file), file),
      trouble: undefined,
    };
  } catch (thrown) {
    const errno = errnoOf(thrown);
    const why = errno === undefined ? asRlnetError(thrown).message : `it cannot be read (${errno})`;
    return { settings: defaults(), trouble: `${file}: ${why}` };
  }
}

/** The journals of this host, as far as each can be trusted. */
async function readJournals({ files }: Context, directory: string): Promise<JournalFact[]> {
  const found: JournalFact[] = [];
  try {
    for (const name of await files.list(directory)) {
      const [, planId] = /^([0-9a-f]{12})\.ndjson$/.exec(name) ?? [];
      if (planId !== undefined) found.push(await readOne(files, `${directory}/${name}`, planId));
    }
  } catch (thrown) {
    if (errnoOf(thrown) !== 'EACCES') throw thrown;
    throw new RlnetError('NOT_PERMITTED', `${directory} is for root alone.`, 'Run rlnet rescue as root.', {
      cause: thrown,
    });
  }
  return found;
}

async function readOne(files: Context['files'], path: string, planId: string): Promise<JournalFact> {
  const { records, damage } = salvageJournal(await files.read(path), path);
  const base = { path, planId, records };
  if (damage !== undefined) {
    const line = damage.at?.line;
    return { ...base, damage: `${line === undefined ? '' : `line ${line}: `}${damage.message}` };
  }
  try {
    if (records.length > 0) progressOf(records);
    return base;
  } catch (thrown) {
    if (!(thrown instanceof RangeError)) throw thrown;
    return { ...base, damage: `its records contradict each other: ${thrown.message}` };
  }
}

async function readBackedUp(directory: string): Promise<BackupFact> {
  try {
    const found = await readBackup(directory);
    if (found === undefined) return { is: 'none' };
    const files = await Promise.all(
      found.files.map(async (file) => ({ path: file.path, state: await stateOf(file) })),
    );
    return { is: 'whole', files };
  } catch (thrown) {
    if (!(thrown instanceof RlnetError)) throw thrown;
    return { is: 'damaged', why: thrown.message.replace(/\.$/, '') };
  }
}

async function attempt<T>(read: () => Promise<T>): Promise<Fact<T>> {
  try {
    return { value: await read() };
  } catch (thrown) {
    return { unknown: asRlnetError(thrown).message.replace(/\.$/, '') };
  }
}
