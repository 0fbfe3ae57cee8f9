import { execFileSync } from 'node:child_process';
import { globSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** What a test could leave on the machine, each thing in words: `mount /var/lib/x`, `link br0`. */
export type Machine = ReadonlySet<string>;

/** The variable that everything which a test run starts inherits: ids of runs, with colons between. */
export const marker = 'RLNET_TEST_RUN';

/** A running process that carries a run's id in its environment. */
export type MarkedProcess = { readonly pid: number; readonly command: string };

/** Ample for a process to end and for the kernel to put away the links of a namespace whose last process has ended. */
const settleMs = 3000;

export function readMachine(): Machine {
  return new Set([
    ...mountPoints(read('/proc/self/mountinfo')).map((path) => `mount ${path}`),
    ...list('/sys/class/net').map((name) => `link ${name}`),
    ...list('/run/netns').map((name) => `network namespace ${name}`),
    ...globSync('/run/rlnet-lab/**').map((path) => `file ${path}`),
    ...nftTables().map((name) => `nftables ${name}`),
  ]);
}

/**
 * What a look at the machine finds, and still finds after it has had time to settle: a process that is ending is none
 * that was left behind. Returns at once when nothing is found.
 */
export async function lasting<T>(look: () => readonly T[]): Promise<readonly T[]> {
  const until = performance.now() + settleMs;
  for (;;) {
    const found = look();
    if (found.length === 0 || performance.now() > until) return found;
    await sleep(100);
  }
}

/** What is there now and was not before, and the other way round. */
export function compare(before: Machine, after: Machine): string[] {
  return [
    ...[...after].filter((thing) => !before.has(thing)).map((thing) => `left behind: ${thing}`),
    ...[...before].filter((thing) => !after.has(thing)).map((thing) => `taken away: ${thing}`),
  ];
}

/** The processes that a run started and that still run, wherever they are: in other sessions and namespaces too. */
export function processesOf(run: string): MarkedProcess[] {
  return list('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    const value = read(`/proc/${name}/environ`)
      .split('\0')
      .find((entry) => entry.startsWith(`${marker}=`));
    if (
      value
        ?.slice(marker.length + 1)
        .split(':')
        .includes(run) !== true
    )
      return [];
    return [{ pid: Number(name), command: read(`/proc/${name}/cmdline`).replaceAll('\0', ' ').trim() }];
  });
}

/**
 * The mount points of /proc/self/mountinfo (proc_pid_mountinfo(5)), but for those that systemd makes and takes away
 * as people log in and units start, and those of named network namespaces, which are listed by name: the first
 * `ip netns add` since boot leaves /run/netns itself mounted for good (ip-netns(8)).
 */
export function mountPoints(mountinfo: string): string[] {
  return mountinfo
    .split('\n')
    .flatMap((line) => line.split(' ')[4] ?? [])
    .filter((path) => !/^\/run\/((user|credentials)\/|netns)|^\/proc\/sys\/fs\/binfmt_misc$/.test(path));
}

function nftTables(): string[] {
  try {
    const tables = execFileSync('nft', ['list', 'tables'], { encoding: 'utf8', stdio: 'pipe' });
    return tables.split('\n').filter((line) => line !== '');
  } catch {
    return []; // No nft, or not root: then no test of ours made any.
  }
}

/** The text of a file; empty if it is gone by now or not for us to read. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
