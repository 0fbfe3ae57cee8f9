import { glob, mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { familyOf } from '../../protocol/address.ts';
import type { AddressChange, LinkIdentity } from '../../protocol/address-change.ts';
import { errnoOf, RlnetError } from '../../protocol/errors.ts';
import type { FileEdit } from '../../protocol/network-owner.ts';
import { type KernelAddress, parseLinks } from '../../protocol/network-snapshot.ts';
import { parseRoutes } from '../../protocol/routing.ts';
import { commandFailed, type Exec, type ExecResult } from '../ports/exec.ts';
import type { OwnerAdapter, OwnerReport } from './adapter.ts';
import {
  addCommandOf,
  commandsIn,
  inverseOf,
  isAsMade,
  isRepeatable,
  saysItIsThere,
  toPutBehind,
  without,
} from './ifup-commands.ts';
import {
  beforeChange,
  editInterfaces,
  flattened,
  type InterfacesFile,
  locateInInterfaces,
  namesToConfigure,
  namesWith,
  sourcesIn,
  withContents,
} from './ifupdown-edit.ts';
import { wrongOutcome } from './judgement.ts';
import type { EditableFile } from './mentions.ts';

const interfaces = '/etc/network/interfaces';

/** A hook of the operator's may take a while; ifupdown itself gives no bound. */
const timeoutMs = 60_000;

/** A file that sources itself would never end. */
const deepest = 10;

/**
 * ifupdown. It has no daemon: `ifup` runs commands, and what they left in the kernel is all that there is. `ifdown` and `ifup` of a link take it down,
 * and with it all its addresses, and the links upon it. So activation asks `ifup --no-act` for the commands with the files as they were
 * and as they are, and runs those that differ; and those again that put addresses and routes there, which the kernel refuses where it has them.
 *
 * @param exec for what only reads the kernel
 * @param outer outside of our sandbox: ifup keeps its state in /run, and its commands are the operator's
 * @param scratch a directory, made if needed, that programs outside of our sandbox see too
 */
export function createIfupdownAdapter(
  exec: Pick<Exec, 'run'>,
  outer: Pick<Exec, 'run'>,
  scratch = '/run/rlnet',
): OwnerAdapter<InterfacesFile> {
  const run = (file: string, args: readonly string[], signal?: AbortSignal): Promise<ExecResult> =>
    outer.run(file, args, { timeoutMs, ...(signal === undefined ? {} : { signal }) });

  /** What ifup or ifdown would do with this configuration. */
  const wouldRun = async (
    tool: 'ifup' | 'ifdown',
    root: InterfacesFile,
    names: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<{ commands: string[]; failed?: ExecResult }> => {
    await mkdir(scratch, { recursive: true, mode: 0o755 });
    const directory = await mkdtemp(join(scratch, 'ifupdown-'));
    try {
      const file = join(directory, 'interfaces');
      await writeFile(file, Buffer.from(flattened(root), 'latin1'), { mode: 0o600 });
      const args = ['--no-act', '--force', '--verbose', '-i', file, ...names];
      const result = await run(tool, args, signal);
      const commands = commandsIn(`${result.stdout}\n${result.stderr}`);
      return result.exitCode === 0 ? { commands } : { commands, failed: result };
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  };

  const inKernel = async ({ name }: LinkIdentity): Promise<KernelAddress[]> => {
    const { stdout } = await exec.run('ip', ['-j', '-d', 'addr', 'show', 'dev', name], { timeoutMs });
    return parseLinks(stdout).addresses;
  };
  /** Its exit status says no more than that it was not there. */
  const remove = async ({ link, address, prefixLength }: KernelAddress): Promise<void> => {
    await run('ip', ['addr', 'del', `${address}/${prefixLength}`, 'dev', link]);
  };

  /** One of the commands of a stanza, as ifup runs them. Not to be aborted: what it has begun it ends. */
  const shell = (command: string, name: string): Promise<ExecResult> =>
    outer.run('sh', ['-c', command], { timeoutMs, env: { IFACE: name, LOGICAL: name } });

  const report = async (
    { link, to, gateway }: AddressChange,
    signal: AbortSignal | undefined,
  ): Promise<OwnerReport> => {
    if (!(await isUp(link, signal))) {
      return {
        state: 'unknown',
        holding: 'unknown',
        evidence: `ifquery --state does not have ${link.name}`,
      };
    }
    const [flag] = familyOf(to.address) === 'ipv4' ? ['-4'] : ['-6'];
    const { stdout } = await exec.run('ip', ['-j', flag, 'route', 'show', 'table', 'all', 'dev', link.name], {
      timeoutMs,
      ...(signal === undefined ? {} : { signal }),
    });
    const hops = parseRoutes(stdout, familyOf(to.address)).flatMap(({ nexthops }) => nexthops);
    const reached = gateway === undefined || hops.some((hop) => hop.gateway === gateway.to);
    return {
      state: reached ? 'done' : 'busy',
      holding: 'unknown',
      evidence: reached
        ? `ifquery --state has ${link.name}`
        : `no route of ${link.name} goes through ${gateway.to}`,
    };
  };

  const isUp = async ({ name }: LinkIdentity, signal: AbortSignal | undefined): Promise<boolean> =>
    (await run('ifquery', ['--state', name], signal)).exitCode === 0;

  return {
    kind: 'ifupdown',
    read: () => readInterfaces(),
    locate: locateInInterfaces,
    edit: editInterfaces,
    judge: async (edits, signal) => {
      const root = await readInterfaces();
      const outcome = async (side: 'before' | 'after'): Promise<string[]> => {
        const configuration = withContents(root, edits, side);
        const names = namesToConfigure(configuration, edits);
        const { commands, failed } = await wouldRun('ifup', configuration, names, signal);
        if (failed !== undefined) throw rejected(edits, `says: ${said(failed)}`);
        return commands;
      };
      const [before, after] = await Promise.all([outcome('before'), outcome('after')]);
      const wrong = wrongOutcome(edits, before, after);
      if (wrong !== undefined) throw rejected(edits, wrong);
    },
    takeUp: async (change, signal) => {
      const { link, to, gateway } = change;
      const root = await readInterfaces();
      const previous = beforeChange(root, change);
      const names = namesWith(root, link, [to.address, ...(gateway === undefined ? [] : [gateway.to])]);
      if (!(await isUp(link, signal))) {
        // It was never brought up, or taken down: there is nothing to compare with.
        const result = await run('ifup', [link.name]);
        if (result.exitCode === 0) return;
        throw commandFailed(
          `ifup ${link.name}`,
          result,
          'Look at ip addr and at what it says; the files can be put back with restore.sh from the back-up.',
        );
      }
      const ask = async (tool: 'ifup' | 'ifdown', configuration: InterfacesFile, name: string) => {
        const { commands, failed } = await wouldRun(tool, configuration, [name], signal);
        if (failed === undefined) return commands;
        throw commandFailed(`${tool} --no-act ${name}`, failed, 'Correct the files that it names.');
      };
      const stanzas: { name: string; up: string[]; made: string[]; unmake: string[] }[] = [];
      for (const name of names) {
        const [up, wasUp, down, wasDown] = await Promise.all([
          ask('ifup', root, name),
          ask('ifup', previous, name),
          ask('ifdown', root, name),
          ask('ifdown', previous, name),
        ]);
        const made = without(up, wasUp);
        // What cannot be repeated is undone first, so that it is not there twice.
        const twice = made.every(isRepeatable) ? [] : without(down, wasDown);
        // Operators often leave out what takes a rule or a route away: a boot needs it not.
        const left = without(wasUp, up).flatMap((command) => inverseOf(command) ?? []);
        const unmake = [
          ...twice,
          ...without(wasDown, down),
          ...left.filter((each) => !wasDown.includes(each)),
        ];
        stanzas.push({ name, up, made, unmake });
      }
      const commands = stanzas.flatMap(({ up }) => up);
      const adds = addCommandOf(commands, to.address);
      if (adds === undefined) {
        throw new RlnetError(
          'OWNER_NOT_TAKEN_UP',
          `ifup --no-act ${names.join(' ')} ended well, and nothing in what it would do puts ${to.address} on ${link.name}.`,
          'See ifquery and ifup --no-act --verbose for the link.',
        );
      }
      signal?.throwIfAborted();

      for (const bound of await inKernel(link)) {
        if (bound.address !== to.address) continue;
        if (bound.prefixLength !== to.prefixLength || !isAsMade(bound, adds)) await remove(bound);
      }
      // Their exit status says no more than that it was not there.
      for (const { name, unmake } of stanzas) for (const command of unmake) await shell(command, name);
      for (const other of toPutBehind(commands, to, await inKernel(link))) await remove(other);
      for (const { name, up, made } of stanzas) {
        for (const command of up) {
          if (!made.includes(command) && !isRepeatable(command)) continue;
          const result = await shell(command, name);
          if (result.exitCode === 0 || saysItIsThere(result.stderr)) continue;
          throw new RlnetError(
            'OWNER_NOT_TAKEN_UP',
            `“${command}”, which ifup runs for ${name}, ended with exit status ${result.exitCode}: ${said(result)}.`,
            'Look at ip addr and ip route; the files can be put back with restore.sh from the back-up.',
          );
        }
      }
    },
    report: async (change, signal) => {
      try {
        return await report(change, signal);
      } catch (thrown) {
        if (!(thrown instanceof RlnetError)) throw thrown;
        return { state: 'unknown', holding: 'unknown', evidence: thrown.message };
      }
    },
  };
}

/**
 * @param root where the host's file system begins, for hosts that are a folder of a test
 * @throws RlnetError OWNER_FILE_REFUSED
 */
export async function readInterfaces(root = '/'): Promise<InterfacesFile> {
  return readWithSources(join(root, interfaces), root, 0);
}

async function readWithSources(named: string, root: string, depth: number): Promise<InterfacesFile> {
  const file = await readEditable(named);
  if (depth > deepest) throw fileRefused(named, 'sources itself');
  const sources: InterfacesFile[][] = [];
  for (const { kind, patterns } of sourcesIn(file)) {
    const paths: string[] = [];
    for (const pattern of patterns) paths.push(...(await pathsOf(kind, pattern, file.path, root)));
    sources.push(await Promise.all(paths.map((path) => readWithSources(path, root, depth + 1))));
  }
  return { file, sources };
}

/** interfaces(5), INCLUDING OTHER FILES: patterns as of wordexp(3), from the folder of the file that names them. */
async function pathsOf(
  kind: 'source' | 'source-directory',
  pattern: string,
  from: string,
  root: string,
): Promise<string[]> {
  if (/[$`~'"\\{]/.test(pattern)) {
    throw fileRefused(from, `has “${kind} ${pattern}”, which only a shell can follow`);
  }
  const found: string[] = [];
  const whole = pattern.startsWith('/') ? join(root, pattern) : resolve(dirname(from), pattern);
  for await (const path of glob(whole)) found.push(path);
  const ordered = found.toSorted((a, b) => (a < b ? -1 : 1));
  const isFile = async (path: string): Promise<boolean> => (await namesIn(path)) === undefined;
  if (kind === 'source') return keep(ordered, isFile);
  const inside = await Promise.all(
    ordered.map(async (path) =>
      ((await namesIn(path)) ?? [])
        .filter((name) => /^[A-Za-z0-9_-]+$/.test(name))
        .map((name) => join(path, name)),
    ),
  );
  return keep(inside.flat(), isFile);
}

async function keep(paths: readonly string[], wanted: (path: string) => Promise<boolean>): Promise<string[]> {
  const answers = await Promise.all(paths.map(wanted));
  return paths.filter((_, index) => answers[index]);
}

async function readEditable(named: string): Promise<EditableFile> {
  try {
    const path = await realpath(named);
    const refused = path.startsWith('/run/') ? { refused: 'is generated anew at each boot' } : {};
    return { path, bytes: await readFile(path), ...refused };
  } catch (cause) {
    const errno = errnoOf(cause);
    if (errno === undefined) throw cause;
    throw fileRefused(named, `cannot be read (${errno})`, cause);
  }
}

function fileRefused(path: string, why: string, cause?: unknown): RlnetError {
  return new RlnetError(
    'OWNER_FILE_REFUSED',
    `${path}, which ifupdown reads, ${why}.`,
    'Correct that, check it with ifquery --list, and plan again.',
    { cause },
  );
}

function rejected(edits: readonly FileEdit[], why: string): RlnetError {
  return new RlnetError(
    'OWNER_REJECTED',
    `ifup --no-act, asked about the changed ${edits.map(({ path }) => path).join(' and ')}, ${why}.`,
    'Run ifup --no-act --verbose by hand: the files are as they were before, and it may not like those either.',
  );
}

function said({ stdout, stderr, exitCode }: ExecResult): string {
  const words = (stderr.trim() || stdout.trim()).replaceAll(/\s+/g, ' ').slice(0, 300);
  return words === '' ? `exit status ${exitCode}` : words;
}

/** Undefined where it is no directory. */
async function namesIn(directory: string): Promise<string[] | undefined> {
  try {
    return (await readdir(directory)).toSorted();
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined;
    throw thrown;
  }
}
