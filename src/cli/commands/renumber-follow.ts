import { sleep } from '../../host/ports/clock.ts';
import { type ErrorCode, RlnetError } from '../../protocol/errors.ts';
import type { JournalRecord, RenumberingOutcome } from '../../protocol/renumbering/records.ts';
import type { Context, Outcome } from '../context.ts';
import { withAgent } from '../control-client.ts';
import { renderRecord, renderSteps } from '../render/renumber.ts';
import { readJournal } from './renumber-journal.ts';

/** A journal grows by a record a second at most, but for the first ones. */
const lookAgainMs = 500;

/** The exit status: how it ended (docs/errors.md). */
const outcomeStatus: Readonly<Record<RenumberingOutcome, number>> = { done: 0, stopped: 30, rolled_back: 31 };

/** What a host that restarts, or whose address moves, makes of a question: the next one may be answered. */
const passing: ReadonlySet<ErrorCode> = new Set(['AGENT_NOT_RUNNING', 'PEER_UNREACHABLE', 'REQUEST_TIMEOUT']);
/** And of an agent that has just come back: its peers take it for a candidate, who may ask for little, until they know its node. */
const passingLater: ReadonlySet<ErrorCode> = new Set([...passing, 'NOT_PERMITTED', 'PEER_UNKNOWN']);

/**
 * `rlnet renumber follow [PLAN]`: each record as it comes, until it is over. The agents may go away meanwhile and come back, which is what a
 * renumbering does to them.
 */
export async function follow(
  context: Context,
  planId: string | undefined,
  options: { runtimeDirectory: string; json?: boolean },
): Outcome {
  const { clock, ended } = context;
  const id = planId ?? (await newest(context, options.runtimeDirectory));
  const show = await viewer(context, options.json === true);
  const records: JournalRecord[] = [];
  let host: string | undefined;
  let silent = false;
  while (!ended.aborted) {
    try {
      const outcome = await withAgent(context, options.runtimeDirectory, async (client) => {
        const page = await readJournal(client, id, records.length, host);
        host = page.host;
        records.push(...page.records);
        if (page.records.length > 0 || silent) show(records, page.records, undefined);
        silent = false;
        return page.outcome;
      });
      if (outcome !== undefined) return outcomeStatus[outcome];
    } catch (thrown) {
      // What was answered once will be again.
      const awaited = host === undefined ? passing : passingLater;
      if (!(thrown instanceof RlnetError) || !awaited.has(thrown.code)) throw thrown;
      if (!silent) show(records, [], `${thrown.message.replace(/\.$/, '')}; waiting`);
      silent = true;
    }
    // Ended by a person: what is followed goes on without them.
    await sleep(clock, lookAgainMs, ended).catch(() => {});
  }
  return 0;
}

type Show = (
  all: readonly JournalRecord[],
  fresh: readonly JournalRecord[],
  note: string | undefined,
) => void;

/** The steps in place on a terminal; a line for each record elsewhere, in JSON with `--json`. */
async function viewer({ print, terminal, clock }: Context, asJson: boolean): Promise<Show> {
  if (asJson) {
    return (_all, fresh) => {
      for (const record of fresh) print(`${JSON.stringify(record)}\n`);
    };
  }
  if (!terminal) {
    return (_all, fresh, note) => {
      for (const record of fresh) print(`${renderRecord(record)}\n`);
      if (note !== undefined) print(`${note}\n`);
    };
  }
  const { showInPlace } = await import('../live.ts');
  return (all, _fresh, note) => showInPlace(renderSteps(all, clock.wall(), note));
}

async function newest(context: Context, runtimeDirectory: string): Promise<string> {
  return await withAgent(context, runtimeDirectory, async (client) => {
    const { hosts } = await client.call('renumberings', {});
    const begun = hosts
      .flatMap((each) => ('renumberings' in each ? each.renumberings : []))
      .filter(({ is }) => is !== 'planned')
      .toSorted((a, b) => Number(b.is === 'open') - Number(a.is === 'open') || b.at - a.at);
    const [first] = begun;
    if (first !== undefined) return first.planId;
    throw new RlnetError(
      'RENUMBERING_NOT_OPEN',
      'No renumbering was ever begun, as far as the agents that answer know.',
      'See rlnet renumber plan.',
    );
  });
}
