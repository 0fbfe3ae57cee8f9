import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished, vi } from 'vitest';
import { issueCa, issueHost } from '../../src/cli/tls-issue.ts';
import { createRandom } from '../../src/host/random.ts';
import type { ErrorReport } from '../../src/protocol/errors.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** The real command line, as processes of its own. */

const repository = join(import.meta.dirname, '../..');
const node = join(repository, 'node_modules/.bin/node');
const main = join(repository, 'src/cli/main.ts');
const random = createRandom();

/** Where Node keeps what it made of the sources: a process starts with a third of the work. */
const compileCache = join(repository, 'node_modules/.cache/rlnet-compiled');

/** A process that hangs is killed, long after it should have ended. */
const patienceMs = 30_000;

export interface Ended {
  /** null after a signal. */
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

/** How a process is started: `rlnet` here, or somewhere else, such as in a network namespace. */
export type Enter = (argv: readonly string[]) => readonly string[];
const here: Enter = (argv) => argv;

/** Runs `rlnet ARGS` to its end. */
export async function rlnet(args: readonly string[], enter: Enter = here): Promise<Ended> {
  return (await startRlnet(args, enter)).ended;
}

/** Starts `rlnet ARGS`; it ends with the test at the latest. */
export async function startRlnet(
  args: readonly string[],
  enter: Enter = here,
): Promise<{ child: ChildProcess; ended: Promise<Ended>; said: { stdout: string; stderr: string } }> {
  const [command = '', ...rest] = enter([node, main, ...args]);
  const child = spawn(command, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], LC_ALL: 'C', NODE_COMPILE_CACHE: compileCache },
  });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      said[name] += text;
    });
  }
  const ended = new Promise<Ended>((resolve, reject) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs);
    child.once('error', reject);
    child.once('close', (exitCode) => {
      clearTimeout(timer);
      resolve({ exitCode, ...said });
    });
  });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended.catch(() => {});
  });
  return { child, ended, said };
}

/** The report that a command prints on standard error with `--json`. */
export function reportOf({ stderr }: Ended): ErrorReport {
  return (JSON.parse(stderr) as { error: ErrorReport }).error;
}

/** A host to be: a directory with all that an agent needs, which goes with the test. */
export interface AgentHome {
  directory: string;
  config: string;
  /** For `--runtime-directory`. */
  runtime: string;
  tls: { ca: string; certificate: string; key: string; denied: string };
  /** Writes the configuration file anew: the sections that every home has, after what is given. */
  configure(text: string): Promise<void>;
}

/** Makes certificates of one cluster and homes that use them. `now`: wall clock, milliseconds since the epoch. */
export async function createCluster(
  cluster: string,
  now: number,
): Promise<(host: string, configuration?: string) => Promise<AgentHome>> {
  const ca = await issueCa(cluster, { now, days: 10, random: random.id() });
  return async (host, configuration = '') => {
    const directory = await temporaryDirectory();
    const issued = await issueHost(ca, host, { now, days: 5, random: random.id() });
    const tls = {
      ca: `${directory}/tls/ca.crt`,
      certificate: `${directory}/tls/host.crt`,
      key: `${directory}/tls/host.key`,
      denied: `${directory}/tls/denied-serials`,
    };
    await mkdir(`${directory}/tls`);
    await writeFile(tls.ca, ca.certificate);
    await writeFile(tls.certificate, issued.certificate);
    await writeFile(tls.key, issued.key, { mode: 0o600 });
    const home: AgentHome = {
      directory,
      config: `${directory}/agent.yaml`,
      runtime: `${directory}/run`,
      tls,
      configure: (text) =>
        writeFile(
          `${directory}/agent.yaml`,
          `${text}tls:
  ca: ${tls.ca}
  certificate: ${tls.certificate}
  key: ${tls.key}
  denied_serials: ${tls.denied}
directories:
  state: ${directory}/state
  runtime: ${directory}/run
`,
        ),
    };
    await home.configure(configuration);
    return home;
  };
}

/** Settings of a host where RS answers with a node table and nothing else of it is there. */
export async function rsSettings(directory: string, uid: number, table: string): Promise<string> {
  const rladmin = `${directory}/rladmin`;
  await writeFile(rladmin, `#!/bin/sh\ncat <<'END'\n${table}END\n`);
  await chmod(rladmin, 0o755);
  await writeFile(`${directory}/node.id`, `${uid}\n`);
  return `rs:\n  rladmin: ${rladmin}\n  node_id_file: ${directory}/node.id\n  unit: no-such-unit-of-rs\n`;
}

export interface RunningAgent {
  child: ChildProcess;
  ended: Promise<Ended>;
  said: { stdout: string };
  /** Asks it to end and waits until it has. */
  stop(): Promise<Ended>;
}

/** Starts an agent and waits until it says that it runs. */
export async function startAgent({ config }: AgentHome, enter: Enter = here): Promise<RunningAgent> {
  const { child, ended, said } = await startRlnet(['agent', '--config', config], enter);
  await vi.waitFor(
    () => {
      if (child.exitCode !== null) throw new Error(`the agent ended: ${said.stderr}`);
      if (!said.stdout.includes('agent is running')) throw new Error(`no agent yet: ${said.stdout}`);
    },
    { timeout: patienceMs / 2, interval: 20 },
  );
  const stop = (): Promise<Ended> => {
    child.kill('SIGTERM');
    return ended;
  };
  return { child, ended, said, stop };
}
