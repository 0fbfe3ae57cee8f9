import { type Issued, issueCollector } from '../../../src/cli/tls-issue.ts';
import { createRandom } from '../../../src/host/random.ts';
import type { Finding } from '../../../src/protocol/finding.ts';
import type { Host } from './lab.ts';

/** Where the collector's page and API are, on its own host. */
const api = 'http://127.0.0.1:9472';

/** What an agent's configuration has to say to report to the collector on a host. */
export function reportingTo(collector: Host): string {
  return `collector:\n  url: wss://${collector.address('external', 'ipv4')}:9471\n`;
}

/** Starts a collector on a host that has rlnet, for one cluster. */
export async function startCollector(host: Host, cluster: string, ca: Issued): Promise<void> {
  const { certificate, key } = await issueCollector(ca, 'c1', {
    now: Date.now(),
    days: 7,
    random: createRandom().id(),
  });
  await host.writeFile('/etc/rlnet/collector/ca.crt', ca.certificate);
  await host.writeFile('/etc/rlnet/collector/collector.crt', certificate);
  await host.writeFile('/etc/rlnet/collector/collector.key', key, 0o600);
  const folder = '/etc/rlnet/collector';
  await host.writeFile(
    '/etc/rlnet/collector.yaml',
    `clusters:\n  ${cluster}:\n    ca: ${folder}/ca.crt\ntls:\n  certificate: ${folder}/collector.crt\n  key: ${folder}/collector.key\n`,
  );
  await runCollector(host);
}

/** Runs it, as its unit would; ready when it resolves. */
export async function runCollector(host: Host): Promise<void> {
  const unit = ['--unit=lab-collector', '--collect', '--property=Type=notify', '--property=NotifyAccess=all'];
  const command = ['/opt/rlnet/bin/node', '/opt/rlnet/lib/rlnet.js', 'collector'];
  await host.execOk(['systemd-run', '--quiet', ...unit, ...command]);
}

export interface ReportedFinding extends Finding {
  cluster: string;
  host: string;
}

/** Looks at the findings of a collector ten times in a second, from its own host. */
export async function watchCollector(host: Host): Promise<{
  /** Waits until the findings are as wanted; with the moment at which they came here (performance.now). */
  until: (
    what: string,
    wanted: (findings: readonly ReportedFinding[]) => boolean,
    timeoutMs?: number,
  ) => Promise<{ findings: readonly ReportedFinding[]; at: number }>;
  [Symbol.asyncDispose]: () => Promise<void>;
}> {
  await host.writeFile('/run/watch-collector.mjs', poller);
  const running = await host.spawn(['/opt/rlnet/bin/node', '/run/watch-collector.mjs']);
  let newest: { findings: readonly ReportedFinding[]; at: number } | undefined;
  const listeners = new Set<() => void>();
  const reading = (async () => {
    for await (const line of running.lines) {
      newest = { findings: JSON.parse(line) as ReportedFinding[], at: performance.now() };
      for (const listener of listeners) listener();
    }
  })();
  return {
    until: (what, wanted, timeoutMs = 60_000) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (newest === undefined || !wanted(newest.findings)) return;
          clearTimeout(timer);
          listeners.delete(look);
          resolve(newest);
        };
        const timer = setTimeout(() => {
          listeners.delete(look);
          reject(new Error(`the collector did not show ${what}; it has ${JSON.stringify(newest?.findings)}`));
        }, timeoutMs);
        listeners.add(look);
        look();
      }),
    async [Symbol.asyncDispose]() {
      await running.kill();
      await reading;
    },
  };
}

/** Asks the API of a collector once, from its own host. */
export async function askCollector(host: Host, path: string): Promise<unknown> {
  const script = `process.stdout.write(await (await fetch(${JSON.stringify(api + path)})).text())`;
  return JSON.parse(
    await host.execOk(['/opt/rlnet/bin/node', '--input-type=module', '--eval', script]),
  ) as unknown;
}

const poller = `
let before = '';
for (;;) {
  try {
    const { findings } = await (await fetch('${api}/api/v1/findings')).json();
    const text = JSON.stringify(findings);
    if (text !== before) process.stdout.write(text + '\\n');
    before = text;
  } catch {}
  await new Promise((done) => setTimeout(done, 100));
}
`;
