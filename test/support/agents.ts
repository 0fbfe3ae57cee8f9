import type { Log } from '../../src/agent/log.ts';
import type { TlsMaterial } from '../../src/agent/mesh/transport.ts';
import { issueCa, issueHost } from '../../src/cli/tls-issue.ts';
import { createRandom } from '../../src/host/random.ts';

/** What an agent logged, for tests to look at. */
export interface RecordedLog extends Log {
  entries: { level: string; fields: object; text: string }[];
}

export function recordLog(): RecordedLog {
  const entries: RecordedLog['entries'] = [];
  const at = (level: string) => (fields: object, text: string) => {
    entries.push({ level, fields, text });
  };
  const log: RecordedLog = {
    entries,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => log,
  };
  return log;
}

const random = createRandom();

/** The CA of a cluster, and certificates of its hosts. `now`: wall clock, milliseconds since the epoch. */
export async function createAuthority(
  cluster: string,
  now: number,
): Promise<(host: string, days?: number) => Promise<TlsMaterial>> {
  const ca = await issueCa(cluster, { now, days: 10, random: random.id() });
  return async (host, days = 5) => {
    const { certificate, key, identity } = await issueHost(ca, host, { now, days, random: random.id() });
    return { ca: ca.certificate, certificate, key, identity, deniedSerials: new Set<string>() };
  };
}
