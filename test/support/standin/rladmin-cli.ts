import { call } from './lines.ts';
import type { RladminResult } from './rladmin.ts';

/*
 * `/opt/redislabs/bin/rladmin` of the stand-in: hands its arguments to the daemon of this host.
 *
 *     node rladmin-cli.ts [--socket=PATH] ARGUMENT…
 */

const defaultSocket = '/var/opt/redislabs/run/standin.sock';
/** Longer than any command that waits for a cluster master and then for its action. */
const timeoutMs = 120_000;

async function run(): Promise<RladminResult> {
  const given = process.argv.slice(2);
  const option = given[0]?.startsWith('--socket=') ? given[0].slice('--socket='.length) : undefined;
  const argv = option === undefined ? given : given.slice(1);
  try {
    return (await call({ path: option ?? defaultSocket }, { argv }, timeoutMs)) as RladminResult;
  } catch (thrown) {
    // Loaded only where the daemon cannot say it: that takes longer than all the rest.
    const { failure, parseRladmin, runRladmin } = await import('./rladmin.ts');
    if (parseRladmin(argv).kind === 'help') return runRladmin(argv, undefined);
    const { madeUp } = await import('./model.ts');
    return failure(`${madeUp(`ERROR: the node's service does not answer: ${String(thrown)}`)}\n`);
  }
}

const { exitCode, stdout, stderr } = await run();
process.stdout.write(stdout);
process.stderr.write(stderr);
process.exitCode = exitCode;
