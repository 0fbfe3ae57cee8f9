/**
 * Runs check:fast and the tiers one after another, then looks whether the machine is as it was. Nothing stops it on
 * the way: the closing line, `N passed, N failed, N skipped`, is always there and adds up all of it. Exit status 0 if
 * nothing failed, 1 if something did, 2 for a wrong command line, 130 after Ctrl-C.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { addTotals, type RunReport, type Totals, totalsLine } from '../../test/support/totals.ts';
import { compare, lasting, marker, processesOf, readMachine } from './machine.ts';
import { runsOf, type Tier, tiers } from './tiers.ts';

const nothing: Totals = { passed: 0, failed: 0, skipped: 0 };
const oneFailure: Totals = { ...nothing, failed: 1 };

/** How long a program may take to end after it was asked to. */
const killAfterMs = 15_000;

const { full, chosen } = readCommandLine();
const run = randomUUID();
const scratch = mkdtempSync(join(tmpdir(), 'rlnet-test-'));
const said: string[] = [];
let sum = nothing;
let interrupted: NodeJS.Signals | undefined;
let stopProgram: ((signal: NodeJS.Signals) => void) | undefined;

// Ctrl-C reaches the program that runs by itself; a SIGTERM to us alone does not. Either way the rest is still told.
process.on('SIGINT', (signal) => {
  interrupted = signal;
});
process.on('SIGTERM', (signal) => {
  interrupted = signal;
  stopProgram?.(signal);
});

const before = readMachine();
await checkFast();
for (const tier of chosen) {
  if (interrupted === undefined) await runTier(tier);
  else tell(tier.name, 'not run, stopped before it', oneFailure);
}
await checkMachine();
rmSync(scratch, { recursive: true });

console.log(`\n${said.join('\n')}\n\n${totalsLine(sum)}`);
process.exitCode = interrupted !== undefined ? 130 : sum.failed > 0 ? 1 : 0;

function readCommandLine(): { full: boolean; chosen: readonly Tier[] } {
  try {
    const { values, positionals } = parseArgs({
      options: { full: { type: 'boolean', default: false } },
      allowPositionals: true,
    });
    const unknown = positionals.find((name) => !tiers.some((tier) => tier.name === name));
    if (unknown !== undefined) throw new Error(`There is no tier '${unknown}'`);
    const chosen = tiers.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
    return { full: values.full, chosen };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}.`);
    console.error(`usage: scripts/test [--full] [${tiers.map(({ name }) => name).join('|')}]...`);
    process.exit(2);
  }
}

/** Says what a part came to, now and again before the closing line, and adds it up. */
function tell(part: string, words: string, totals: Totals): void {
  const line = `${part}: ${words}`;
  console.log(line);
  said.push(line);
  sum = addTotals(sum, totals);
}

async function checkFast(): Promise<void> {
  console.log('== check:fast');
  const { failure } = await runProgram('npm', ['run', '--silent', 'check:fast'], 5, {});
  tell('check:fast', failure ?? 'passed', failure === undefined ? nothing : oneFailure);
}

async function runTier(tier: Tier): Promise<void> {
  const { name, limitMinutes, beginMinutes, hindrance } = tier;
  console.log(`\n== ${name}`);
  const files = globSync(`test/${name}/**/*.test.ts`);
  if (files.length === 0) return tell(name, 'has no tests yet', nothing);
  const reason = hindrance();
  if (reason !== undefined) {
    // How many tests they hold shows only when they are loaded.
    return tell(name, `skipped, ${reason} (${files.length} test files)`, {
      ...nothing,
      skipped: files.length,
    });
  }
  const began = performance.now();
  const minutesGone = (): number => (performance.now() - began) / 60_000;
  const limit = full ? 8 * limitMinutes : limitMinutes;
  const beginBy: Record<string, string> =
    full || beginMinutes === undefined
      ? {}
      : { RLNET_TEST_BEGIN_BY: `${Date.now() + beginMinutes * 60_000}` };
  let sumOfRuns = nothing;
  const troubles: string[] = [];
  const failures: string[] = [];
  for (const [index, args] of runsOf(tier, files).entries()) {
    const totalsFile = join(scratch, `${name}-${index}.json`);
    const { failure } = await runProgram(
      process.execPath,
      ['node_modules/vitest/vitest.mjs', ...args],
      limit - minutesGone(),
      { RLNET_TOTALS_FILE: totalsFile, RLNET_TEST_FULL: full ? '1' : '0', ...beginBy },
    );
    const report = readReport(totalsFile);
    failures.push(...(report?.failures ?? []));
    if (report === undefined) troubles.push(`${failure ?? 'ended'} before it had totals`);
    else if (failure !== undefined && report.failed === 0) troubles.push(failure);
    sumOfRuns = addTotals(sumOfRuns, report ?? nothing);
    if (interrupted !== undefined || minutesGone() > limit) break;
  }
  tell(
    name,
    [`${totalsLine(sumOfRuns)}, in ${Math.round(minutesGone() * 60)} s`, ...troubles].join('; '),
    addTotals(sumOfRuns, { ...nothing, failed: troubles.length }),
  );
  // Where they failed is far up in the output, or in a part of it that was not kept.
  for (const line of failures) tell('  failed', line, nothing);
}

function readReport(file: string): RunReport | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as RunReport;
  } catch {
    return undefined;
  }
}

/** Each thing that is not as it was is a failure. Processes are ended then: nobody else knows them for ours. */
async function checkMachine(): Promise<void> {
  const processes = await lasting(() => processesOf(run));
  for (const { pid, command } of processes) {
    tell('machine', `left behind: process ${pid} ${command}`, oneFailure);
    kill(pid);
  }
  const changes = await lasting(() => compare(before, readMachine()));
  for (const change of changes) tell('machine', change, oneFailure);
  if (processes.length + changes.length === 0) tell('machine', 'is as it was', nothing);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // It may just have ended by itself.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** Runs a program to its end, its output shown as it comes. `failure` says how it ended if not with status 0. */
function runProgram(
  file: string,
  args: readonly string[],
  limitMinutes: number,
  env: Readonly<Record<string, string>>,
): Promise<{ failure: string | undefined }> {
  const runs = [process.env[marker], run].filter((id) => id !== undefined).join(':');
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...env, [marker]: runs },
    });
    let late = false;
    let kill: NodeJS.Timeout | undefined;
    stopProgram = (signal) => {
      child.kill(signal);
      kill ??= setTimeout(() => child.kill('SIGKILL'), killAfterMs);
    };
    const limit = setTimeout(() => {
      late = true;
      stopProgram?.('SIGTERM');
    }, limitMinutes * 60_000);
    const end = (failure: string | undefined): void => {
      clearTimeout(limit);
      clearTimeout(kill);
      stopProgram = undefined;
      resolve({ failure: late ? 'was stopped, as its time was over' : failure });
    };
    child.on('error', (error) => end(`could not be started (${error.message})`));
    child.on('close', (status, signal) =>
      end(status === 0 ? undefined : `ended with ${signal ?? `status ${status}`}`),
    );
  });
}
