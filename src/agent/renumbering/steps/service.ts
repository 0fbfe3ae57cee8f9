import type { BootClock } from '../../../host/ports/boot-clock.ts';
import type { HostPower } from '../../../host/ports/host-power.ts';
import type { Interfaces } from '../../../host/ports/interfaces.ts';
import type { Rs } from '../../../host/ports/rs.ts';
import type { UnitControl } from '../../../host/ports/unit-control.ts';
import { holdersOf, isActive, isBeingDetected } from '../../../protocol/interfaces.ts';
import { hasRebooted, rebootOverdue } from '../../../protocol/reboot.ts';
import type { Plan } from '../../../protocol/renumbering/plan.ts';
import { done, notDone, unknown } from '../../../protocol/renumbering/probe.ts';
import type { Progress } from '../../../protocol/renumbering/progress.ts';
import type { NodeTable, ShardTable } from '../../../protocol/rs.ts';
import type { StepExecutor } from '../renumbering.ts';

export interface ServiceStepDependencies {
  bootClock: BootClock;
  interfaces: Interfaces;
  rs: Rs;
  units: UnitControl;
  power: HostPower;
  signal: AbortSignal;
}

/** Roles leave the node; what has no replica stays, and is offline while the node is out. */
export function demoteStep({ rs }: ServiceStepDependencies): StepExecutor {
  return {
    probe: async ({ plan }) => {
      const [table, shards] = await Promise.all([rs.nodeTable(), rs.shardTable()]);
      return judgeDemotion(plan, table, shards);
    },
    act: ({ plan }) => rs.demote(plan.nodeUid, plan.bounds.demote * 1000),
  };
}

/** Whether the node has no role left but those that a person accepted to lose. */
export function judgeDemotion({ nodeUid, options }: Plan, table: NodeTable, { shards, unread }: ShardTable) {
  const row = table.nodes.find(({ uid }) => uid === nodeUid);
  if (row?.role === undefined) return unknown(`RS does not say the role of node ${nodeUid}`);
  if (unread.length > 0)
    return unknown(`a row of the shard table cannot be read: ${unread[0]?.reason ?? ''}`);
  if (row.role === 'master') return notDone(`node ${nodeUid} is the cluster's master`);
  const masters = shards.filter(
    (shard) =>
      shard.nodeUid === nodeUid && shard.role === 'master' && !options.acceptShards.includes(shard.uid),
  );
  return masters.length === 0
    ? done(`node ${nodeUid} is not the cluster's master and has no master shard`)
    : notDone(`master shards on node ${nodeUid}: ${masters.map(({ uid }) => `redis:${uid}`).join(', ')}`);
}

/** The unit does not start with the host any more. It runs on until the restart. */
export function disableStep({ units }: ServiceStepDependencies): StepExecutor {
  return {
    probe: async ({ plan }) => {
      const { unitFileState } = await units.state(plan.unit.unit);
      if (unitFileState !== 'disabled') return notDone(`UnitFileState=${unitFileState}`);
      await units.flush(plan.unit);
      return done('disabled');
    },
    act: ({ plan }) => units.disable(plan.unit),
  };
}

/** The host has booted since the unit was to be disabled, and the unit does not run; its address is not tentative any more. */
export function restartStep({
  bootClock,
  interfaces,
  units,
  power,
  signal,
}: ServiceStepDependencies): StepExecutor {
  return {
    probe: async (progress) => {
      const { activeState } = await units.state(progress.plan.unit.unit);
      if (progress.plan.options.reboot) {
        const now = await bootClock.now();
        const { intended } = progress;
        // Since the intent: the power may have gone between the act and the note that it was done.
        const disabled = intended.get('disable')?.at;
        if (disabled !== undefined && !hasRebooted(disabled, now)) {
          const asked = intended.get('restart')?.at;
          return notDone(
            `still in boot ${now.bootId}`,
            asked === undefined ? undefined : rebootOverdue(asked, now).report(),
          );
        }
      }
      if (activeState === 'inactive' || activeState === 'failed') {
        const { plan } = progress;
        if (!plan.options.reboot) return done(`the unit is ${activeState}`);
        const { address } = plan.change.from;
        const [holder] = holdersOf(await interfaces.read(signal), address);
        // Without carrier nobody looks for duplicates, and it is tentative for as long as that lasts.
        return holder !== undefined && isActive(holder.link) && isBeingDetected(holder.bound)
          ? unknown(`${address} is tentative after the boot`)
          : done(`the unit is ${activeState}`);
      }
      if (!progress.plan.options.reboot) return notDone(`the unit is ${activeState}`);
      return {
        is: 'failed',
        reason: {
          code: 'UNIT_PULLED_IN',
          message: `${progress.plan.unit.unit} is ${activeState} after the boot though it is disabled: something else starts it.`,
          remedy: `systemctl list-dependencies --reverse ${progress.plan.unit.unit} shows what does.`,
        },
      };
    },
    act: async ({ plan }) => {
      if (plan.options.reboot) await power.reboot(`rlnet renumbers node ${plan.nodeUid} (${plan.id})`);
      else await units.stop(plan.unit.unit, { boundMs: plan.bounds.start * 1000, signal });
    },
  };
}

/** As it was enabled at the start, link by link. */
export function enableStep({ units }: ServiceStepDependencies): StepExecutor {
  return {
    probe: async ({ plan }) => {
      const { unitFileState, links } = await units.record(plan.unit.unit);
      const same =
        unitFileState === plan.unit.unitFileState &&
        JSON.stringify(links) === JSON.stringify(plan.unit.links);
      if (!same) return notDone(`UnitFileState=${unitFileState}`);
      // It may have been enabled by a run that died, or was refused, before that was on the disk.
      await units.flush(plan.unit);
      return done(unitFileState);
    },
    act: ({ plan }) => units.enable(plan.unit),
  };
}

/** @param before what has to be so right before; rejects where it is not */
export function startStep(
  { units, signal }: ServiceStepDependencies,
  before: (progress: Progress) => Promise<void> = async () => {},
): StepExecutor {
  return {
    probe: async ({ plan }) => {
      const { activeState, result } = await units.state(plan.unit.unit);
      return activeState === 'active' ? done('active') : notDone(`${activeState}, Result=${result}`);
    },
    act: async (progress) => {
      await before(progress);
      const { unit, bounds } = progress.plan;
      await units.start(unit.unit, { boundMs: bounds.start * 1000, signal });
    },
  };
}

export function stopStep({ units, signal }: ServiceStepDependencies): StepExecutor {
  return {
    probe: async ({ plan }: Progress) => {
      const { activeState } = await units.state(plan.unit.unit);
      return activeState === 'inactive' || activeState === 'failed'
        ? done(activeState)
        : notDone(activeState);
    },
    act: ({ plan }) => units.stop(plan.unit.unit, { boundMs: plan.bounds.start * 1000, signal }),
  };
}
