import type { JournalRecord } from '../../protocol/renumbering/records.ts';
import type { JournalPage } from '../../protocol/renumbering/request.ts';
import type { ControlClient } from '../control-client.ts';

/** The records of a renumbering after the first `after` ones, as far as they are written. @param host where it is known which */
export async function readJournal(
  client: ControlClient,
  planId: string,
  after = 0,
  host?: string,
): Promise<{ host: string; records: JournalRecord[]; outcome: JournalPage['outcome'] }> {
  const records: JournalRecord[] = [];
  for (let node = host; ; ) {
    const page = await client.call('renumber_journal', {
      planId,
      after: after + records.length,
      ...(node === undefined ? {} : { node }),
    });
    node = page.host;
    records.push(...page.records);
    if (!page.more || page.records.length === 0) return { host: node, records, outcome: page.outcome };
  }
}
