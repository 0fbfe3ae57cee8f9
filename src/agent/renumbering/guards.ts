import type { Rs } from '../../host/ports/rs.ts';
import { judgeGate, judgeOutage } from '../../protocol/renumbering/guards.ts';
import type { Progress } from '../../protocol/renumbering/progress.ts';
import type { Reason } from '../../protocol/renumbering/records.ts';
import type { Step } from '../../protocol/renumbering/steps.ts';

/** Asks the guards of a step: what stands in the way, nothing for a pass. What could not be asked rejects. */
export function askGuardsOf({ rs }: { rs: Rs }): (progress: Progress, step: Step) => Promise<Reason[]> {
  return async ({ plan }, step) => {
    const [nodes, shards, running] = await Promise.all([
      rs.nodeTable(),
      rs.shardTable(),
      rs.runningActions(),
    ]);
    if (step === 'release') return judgeGate(plan, shards, running);
    return judgeOutage(plan, { nodes, shards, running });
  };
}
