import type { Listener } from '../protocol/bootstrap/facts.ts';
import { commandFailed, type Exec } from './ports/exec.ts';
import type { Files } from './ports/files.ts';

/**
 * Every listening TCP port and bound UDP port of this host, with its program (`ss`). Whose it is is told by the control group of the process: RS
 * runs all of its programs in that of its unit.
 * @throws RlnetError COMMAND_FAILED; what Exec throws
 */
export async function readListeners(
  exec: Pick<Exec, 'run'>,
  files: Pick<Files, 'readIfExists'>,
  rsUnit: string | undefined,
): Promise<Listener[]> {
  const result = await exec.run('ss', ['--no-header', '-ltunp'], { timeoutMs: 10_000 });
  if (result.exitCode !== 0) throw commandFailed('ss -ltunp', result, 'Install iproute2.');
  return await Promise.all(
    parseListeners(result.stdout).map(async (listener) => ({
      ...listener,
      ofRs: rsUnit !== undefined && (await isInUnit(files, listener.pid, rsUnit)),
    })),
  );
}

/** What `ss -ltunp` prints: `tcp LISTEN 0 511 *:9443 *:* users:(("node",pid=12,fd=18))`. */
export function parseListeners(text: string): Omit<Listener, 'ofRs'>[] {
  return text.split('\n').flatMap((line) => {
    const [protocol, , , , local = ''] = line.trim().split(/\s+/);
    const port = Number(local.slice(local.lastIndexOf(':') + 1));
    if ((protocol !== 'tcp' && protocol !== 'udp') || !Number.isInteger(port) || port === 0) return [];
    const [, process, pid] = /\(\("([^"]*)",pid=(\d+)/.exec(line) ?? [];
    return [
      {
        protocol,
        port,
        ...(process === undefined ? {} : { process }),
        ...(pid === undefined ? {} : { pid: Number(pid) }),
      },
    ];
  });
}

async function isInUnit(
  files: Pick<Files, 'readIfExists'>,
  pid: number | undefined,
  unit: string,
): Promise<boolean> {
  if (pid === undefined) return false;
  const groups = (await files.readIfExists(`/proc/${pid}/cgroup`).catch(() => undefined)) ?? '';
  return groups.split('\n').some((line) => line.split('/').includes(unit));
}
