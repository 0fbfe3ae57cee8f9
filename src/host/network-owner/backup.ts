import { createHash } from 'node:crypto';
import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { type AddressChange, addressChangeSchema } from '../../protocol/address-change.ts';
import { errnoOf, RlnetError } from '../../protocol/errors.ts';
import type { FileEdit } from '../../protocol/network-owner.ts';
import { createFiles } from '../files.ts';
import type { Exec, ExecResult } from '../ports/exec.ts';
import { replaceScript } from './replace-script.ts';

/*
 * A back-up is a directory: `0.before`, `0.after` and so on, one pair a file, `persist.sh` and `restore.sh`, and `manifest.json`, which is written
 * last: without it there is no back-up. All of it is synced before the first file of the owner is touched.
 */

const manifestSchema = v.object({
  version: v.literal(1),
  change: addressChangeSchema,
  files: v.array(
    v.object({
      path: v.string(),
      /** SHA-256 of the content before and after, in hexadecimal digits. */
      before: v.string(),
      after: v.string(),
      /** Permission bits, and the numbers of user and group. */
      mode: v.number(),
      uid: v.number(),
      gid: v.number(),
    }),
  ),
});

export type Backup = v.InferOutput<typeof manifestSchema>;
type BackupFile = Backup['files'][number];

const durable = createFiles();

/** How long copying a few small files may take, on a disk that has much else to do. */
const timeoutMs = 60_000;

/**
 * The whole back-up in a directory; undefined where there is none, or one that was never finished.
 * @throws RlnetError OWNER_BACKUP_INVALID where it is finished and damaged
 */
export async function readBackup(directory: string): Promise<Backup | undefined> {
  const text = await readIfThere(join(directory, 'manifest.json'));
  if (text === undefined) return undefined;
  let manifest: Backup;
  try {
    manifest = v.parse(manifestSchema, JSON.parse(Buffer.from(text).toString('utf8')));
  } catch (cause) {
    throw invalid(directory, 'its manifest.json is not understood', cause);
  }
  for (const [index, file] of manifest.files.entries()) {
    for (const side of ['before', 'after'] as const) {
      const content = await readIfThere(join(directory, `${index}.${side}`));
      if (content !== undefined && digest(content) === file[side]) continue;
      const what = content === undefined ? 'is missing' : 'is not what the manifest says';
      throw invalid(directory, `${index}.${side}, of ${file.path}, ${what}`);
    }
  }
  return manifest;
}

/** As `readBackup`, where there must be one. */
export async function requireBackup(directory: string): Promise<Backup> {
  const found = await readBackup(directory);
  if (found === undefined) throw invalid(directory, 'it has no manifest.json');
  return found;
}

export function invalid(directory: string, why: string, cause?: unknown): RlnetError {
  return new RlnetError(
    'OWNER_BACKUP_INVALID',
    `The back-up of the network configuration in ${directory} cannot be used: ${why}.`,
    'Look at the files there and at the configuration itself, and put it right by hand.',
    { cause },
  );
}

/**
 * Writes the back-up; an unfinished one is begun anew.
 * @param exec with root's capabilities, as for `runBackupScript`: attributes of a file that it may not see are lost (`trusted.*`, capabilities(7))
 * @throws RlnetError OWNER_WRITE_FAILED
 */
export async function writeBackup(
  exec: Pick<Exec, 'run'>,
  directory: string,
  change: AddressChange,
  edits: readonly FileEdit[],
): Promise<void> {
  try {
    await durable.makeDirectory(directory, 0o700);
    const files: BackupFile[] = [];
    for (const [index, { path, before, after }] of edits.entries()) {
      const [old, next] = [join(directory, `${index}.before`), join(directory, `${index}.after`)];
      // cp alone knows extended attributes; Node has no call for them.
      await copy(exec, ['--preserve=all', '--', path, old]);
      if (digest(await readFile(old)) !== digest(before))
        throw filesChanged(path, 'has been edited', directory);
      await copy(exec, ['--preserve=all', '--', path, next]);
      await writeDurably(next, after);
      await sync(old);
      const { mode, uid, gid } = await stat(path);
      files.push({ path, before: digest(before), after: digest(after), mode: mode & 0o7777, uid, gid });
    }
    const script = (side: 'before' | 'after') =>
      replaceScript(files.map(({ path }, index) => ({ target: path, source: `${index}.${side}` })));
    await writeDurably(join(directory, 'persist.sh'), Buffer.from(script('after')));
    await writeDurably(join(directory, 'restore.sh'), Buffer.from(script('before')));
    await sync(directory);
    const manifest: Backup = { version: 1, change, files };
    // Whole or not at all: half a manifest would be a damaged back-up, and not one that was never finished.
    await durable.writeAtomic(
      join(directory, 'manifest.json'),
      `${JSON.stringify(manifest, undefined, 2)}\n`,
      0o600,
    );
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (thrown instanceof RlnetError || errno === undefined) throw thrown;
    throw writeFailed(`the back-up in ${directory}`, errno, thrown);
  }
  await readBackup(directory);
}

/**
 * Runs the back-up's `persist.sh` or `restore.sh`.
 * @throws RlnetError OWNER_WRITE_FAILED, with what it said
 */
export async function runBackupScript(
  exec: Pick<Exec, 'run'>,
  directory: string,
  script: 'persist.sh' | 'restore.sh',
  signal?: AbortSignal,
): Promise<void> {
  const result = await exec.run('sh', [join(directory, script)], {
    timeoutMs,
    ...(signal === undefined ? {} : { signal }),
  });
  if (result.exitCode === 0) return;
  throw writeFailed('the files of the network configuration', said(result));
}

/** What `writeBackup` was given. */
export function readEdits(files: readonly BackupFile[], directory: string): Promise<FileEdit[]> {
  return Promise.all(
    files.map(async ({ path }, index) => ({
      path,
      before: await readFile(join(directory, `${index}.before`)),
      after: await readFile(join(directory, `${index}.after`)),
    })),
  );
}

/** What a file is now, measured by its back-up. `missing` and `other` are somebody else's doing. */
export async function stateOf(file: BackupFile): Promise<'before' | 'after' | 'other' | 'missing'> {
  const content = await readIfThere(file.path);
  if (content === undefined) return 'missing';
  const now = digest(content);
  if (now === file.before) return 'before';
  return now === file.after ? 'after' : 'other';
}

/** Whether mode and owner are as they were; a word for what differs. */
export async function strayAttributes(file: BackupFile): Promise<string | undefined> {
  const { mode, uid, gid } = await stat(file.path);
  const was = `mode ${file.mode.toString(8)}, owner ${file.uid}:${file.gid}`;
  const is = `mode ${(mode & 0o7777).toString(8)}, owner ${uid}:${gid}`;
  return was === is ? undefined : `${file.path} has ${is} and not ${was}`;
}

/** @param how what has happened to the file since it was read */
export function filesChanged(path: string, how: string, directory: string): RlnetError {
  return new RlnetError(
    'OWNER_FILES_CHANGED',
    `${path} ${how} since it was read for the back-up in ${directory}.`,
    'Plan the change anew, which reads the file as it is now.',
  );
}

export function writeFailed(what: string, why: string, cause?: unknown): RlnetError {
  return new RlnetError(
    'OWNER_WRITE_FAILED',
    `Writing ${what} failed: ${why}.`,
    'Make the file system writable, with room for a few files, and try again.',
    { cause },
  );
}

async function copy(exec: Pick<Exec, 'run'>, args: readonly string[]): Promise<void> {
  const result = await exec.run('cp', args, { timeoutMs });
  if (result.exitCode !== 0) throw writeFailed('the back-up', said(result));
}

function said({ stdout, stderr, exitCode }: ExecResult): string {
  const words = (stderr.trim() || stdout.trim()).replaceAll(/\s+/g, ' ').slice(0, 300);
  return words === '' ? `exit status ${exitCode}` : words;
}

async function writeDurably(path: string, content: Uint8Array): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function sync(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

function digest(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
