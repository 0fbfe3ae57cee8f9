import { access, mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AddressChange, LinkIdentity } from '../../protocol/address-change.ts';
import { toByteText } from '../../protocol/byte-text.ts';
import { errnoOf, RlnetError } from '../../protocol/errors.ts';
import type { FileEdit } from '../../protocol/network-owner.ts';
import { commandFailed, type Exec } from '../ports/exec.ts';
import type { OwnerAdapter } from './adapter.ts';
import { wrongOutcome } from './judgement.ts';
import { editNetplan, locateInNetplan, type NetplanConfiguration, netplanIdsOf } from './netplan-edit.ts';

/** netplan-generate(8): a file in a later directory hides the one of the same name in an earlier one; the order is that of the names. */
const directories = [
  { path: '/lib/netplan', refused: "is a package's, which an update replaces" },
  { path: '/etc/netplan' },
  { path: '/run/netplan', refused: 'is generated anew at each boot' },
] as const;

/** netplan is a Python program, which takes a second to start on a busy host. */
const timeoutMs = 60_000;

/** What netplan writes for either renderer, for a definition without a Wi-Fi network. */
const rendered = {
  networkd: (id: string) => `/run/systemd/network/10-netplan-${id}.network`,
  NetworkManager: (id: string) => `/run/NetworkManager/system-connections/netplan-${id}.nmconnection`,
} as const;
type Renderer = keyof typeof rendered;

type Rendering = Pick<OwnerAdapter, 'takeUp' | 'report'>;

/**
 * netplan, which writes configuration for a renderer. `netplan apply` takes the links of the whole host in hand, so activation is `netplan generate`,
 * which a boot runs too, and then what the renderer has for the one link.
 *
 * @param exec outside of our sandbox: netplan writes below /run, and is a Python program
 * @param renderers what makes each renderer take up what netplan has generated
 * @param scratch a directory, made if needed, that programs outside of our sandbox see too: what netplan judges is put there for the while
 */
export function createNetplanAdapter(
  exec: Pick<Exec, 'run'>,
  renderers: Readonly<Record<Renderer, Rendering>>,
  scratch = '/run/rlnet',
): OwnerAdapter<NetplanConfiguration> {
  const generate = async (args: readonly string[], signal: AbortSignal | undefined) =>
    exec.run('netplan', ['generate', ...args], {
      timeoutMs,
      ...(signal === undefined ? {} : { signal }),
    });

  const rendererOf = async (link: LinkIdentity): Promise<Renderer | undefined> => {
    for (const id of netplanIdsOf(await readNetplan(), link)) {
      for (const renderer of ['networkd', 'NetworkManager'] as const) {
        if (await isThere(rendered[renderer](id))) return renderer;
      }
    }
    return undefined;
  };

  return {
    kind: 'netplan',
    read: readNetplan,
    locate: locateInNetplan,
    edit: editNetplan,
    judge: async (edits, signal) => {
      await mkdir(scratch, { recursive: true, mode: 0o755 });
      // Only root may look: there can be passwords in these files.
      const directory = await mkdtemp(join(scratch, 'netplan-'));
      try {
        const configuration = await readNetplan();
        const outcome = async (side: 'before' | 'after'): Promise<string[]> => {
          const root = join(directory, side);
          await writeConfiguration(join(root, 'etc/netplan'), configuration, edits, side);
          const result = await generate(['--root-dir', root], signal);
          if (result.exitCode !== 0) throw rejected(edits, `says: ${said(result.stderr || result.stdout)}`);
          return linesBelow(join(root, 'run'));
        };
        const wrong = wrongOutcome(edits, await outcome('before'), await outcome('after'));
        if (wrong !== undefined) throw rejected(edits, wrong);
      } finally {
        await rm(directory, { recursive: true, force: true });
      }
    },
    takeUp: async (change, signal) => {
      const result = await generate([], signal);
      if (result.exitCode !== 0) {
        throw commandFailed(
          'netplan generate',
          result,
          'Correct the files that it names; they can be put back with restore.sh.',
        );
      }
      const renderer = await rendererOf(change.link);
      if (renderer === undefined) throw notRendered(change);
      await renderers[renderer].takeUp(change, signal);
    },
    report: async (change, signal) => {
      const renderer = await rendererOf(change.link);
      if (renderer !== undefined) return renderers[renderer].report(change, signal);
      return {
        state: 'unknown',
        holding: 'unknown',
        evidence: `netplan has generated nothing for ${change.link.name}`,
      };
    },
  };
}

async function readNetplan(): Promise<NetplanConfiguration> {
  const found = new Map<string, { path: string; refused?: string }>();
  for (const { path: directory, ...rest } of directories) {
    for (const name of await namesIn(directory)) {
      if (name.endsWith('.yaml') && !name.startsWith('.'))
        found.set(name, { path: join(directory, name), ...rest });
    }
  }
  const ordered = [...found].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Promise.all(
    ordered.map(async ([, { path: named, refused }]) => {
      try {
        const path = await realpath(named);
        return { path, bytes: await readFile(path), ...(refused === undefined ? {} : { refused }) };
      } catch (cause) {
        const errno = errnoOf(cause);
        if (errno === undefined) throw cause;
        throw new RlnetError(
          'OWNER_FILE_REFUSED',
          `${named}, which netplan reads, cannot be read (${errno}).`,
          'Put the file back or remove what points to it.',
          { cause },
        );
      }
    }),
  );
}

/** Under names that keep the order, whichever directories the files come from. */
async function writeConfiguration(
  directory: string,
  configuration: NetplanConfiguration,
  edits: readonly FileEdit[],
  side: 'before' | 'after',
): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const [index, { path, bytes }] of configuration.entries()) {
    const name = `${index}`.padStart(6, '0');
    const content = edits.find((edit) => edit.path === path)?.[side] ?? bytes;
    await writeFile(join(directory, `${name}.yaml`), content, { mode: 0o600 });
  }
}

/** All files below a directory that may not be there, in the order of their names, as lines; each file begins with its name. */
async function linesBelow(directory: string): Promise<string[]> {
  if (!(await isThere(directory))) return [];
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const lines: string[] = [];
  for (const path of paths.toSorted()) {
    lines.push(path.slice(directory.length), ...toByteText(await readFile(path)).split('\n'));
  }
  return lines;
}

function rejected(edits: readonly FileEdit[], why: string): RlnetError {
  return new RlnetError(
    'OWNER_REJECTED',
    `netplan generate, asked about a copy of the changed ${edits.map(({ path }) => path).join(' and ')}, ${why}.`,
    'Run netplan generate by hand: the files are as they were before, and it may not like those either.',
  );
}

function notRendered({ link }: AddressChange): RlnetError {
  return new RlnetError(
    'OWNER_NOT_TAKEN_UP',
    `netplan generate ended well and has written nothing for ${link.name}, neither for networkd nor for NetworkManager.`,
    `See netplan get, and whether a definition there matches ${link.name}.`,
  );
}

function said(text: string): string {
  return text.trim().replaceAll(/\s+/g, ' ').slice(0, 300);
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return false;
    throw thrown;
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return [];
    throw thrown;
  }
}
