import { dirname, posix } from 'node:path';
import type { Stream } from './random.ts';

/** What a disk writes whole or not at all, in bytes. */
const sector = 512;

export interface SimFile {
  kind: 'file';
  mode: number;
  /** What every read sees: the page cache. */
  content: Uint8Array;
  /** What a power cut leaves for sure: the content and mode at the last good fsync. */
  durable: { content: Uint8Array; mode: number };
  /** Every content since then; any sector of any of them may have reached the disk. */
  unsynced: Uint8Array[];
  /** Where what the next fsync writes begins, in bytes; infinite while all is clean. */
  dirtyFrom: number;
}

export interface SimDirectory {
  kind: 'directory';
  mode: number;
  entries: Map<string, SimNode>;
  /** What a power cut leaves for sure: the entries at the last fsync of the directory. */
  durable: Map<string, SimNode>;
  /** What was done since then, in order. The disk may hold the first few of them. */
  unsynced: ((entries: Map<string, SimNode>) => void)[];
}

export type SimNode = SimFile | SimDirectory;

/** An error as the system gives it. */
export function systemError(code: string, path: string): Error {
  // Without a stack: it would say nothing, and costs more than the call that failed.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  const error = Object.assign(new Error(`${code}: ${path}`), { code });
  Error.stackTraceLimit = stackTraceLimit;
  return error;
}

/**
 * A file system with the promises of POSIX and not one more. Content is durable after an fsync of the file, a name after an fsync
 * of its directory; a rename is atomic, and durable no earlier. A power cut keeps of everything else what `powerCut` is told to:
 * nothing, all, or single sectors (torn and reordered writes). A failed fsync is final, as on Linux: the pages count as
 * clean afterwards, so that a later fsync succeeds and the data is not on the disk all the same.
 */
export class SimDisk {
  readonly root: SimDirectory = directory(0o755);
  /** Bytes that fit; writing more is ENOSPC. */
  capacity = 1024 ** 3;
  /** How many of the next fsyncs of files or directories fail with EIO. */
  failingSyncs = 0;
  readonly #listeners = new Set<(path: string) => void>();
  /** What was asked for since a name came or went. */
  readonly #exists = new Map<string, boolean>();

  /** @throws ENOENT, ENOTDIR */
  find(path: string): SimNode {
    let node: SimNode = this.root;
    for (const part of partsOf(path)) {
      if (node.kind !== 'directory') throw systemError('ENOTDIR', path);
      const next: SimNode | undefined = node.entries.get(part);
      if (next === undefined) throw systemError('ENOENT', path);
      node = next;
    }
    return node;
  }

  /** Cheap enough to be asked after every event. */
  exists(path: string): boolean {
    let found = this.#exists.get(path);
    if (found === undefined) {
      let node: SimNode | undefined = this.root;
      for (const part of partsOf(path))
        node = node?.kind === 'directory' ? node.entries.get(part) : undefined;
      found = node !== undefined;
      this.#exists.set(path, found);
    }
    return found;
  }

  /** @throws ENOENT, EISDIR */
  read(path: string): Uint8Array {
    const node = this.find(path);
    if (node.kind === 'directory') throw systemError('EISDIR', path);
    return node.content;
  }

  list(path: string): string[] {
    return [...this.#directory(path).entries.keys()].sort();
  }

  /** open(O_CREAT | O_EXCL). @throws EEXIST, ENOENT */
  create(path: string, mode: number): SimFile {
    const parent = this.#directory(dirname(path));
    const name = posix.basename(path);
    if (parent.entries.has(name)) throw systemError('EEXIST', path);
    const content = new Uint8Array();
    const file: SimFile = {
      kind: 'file',
      mode,
      content,
      durable: { content, mode },
      unsynced: [],
      dirtyFrom: Number.POSITIVE_INFINITY,
    };
    change(parent, (entries) => entries.set(name, file));
    this.#changed(path);
    return file;
  }

  /** @throws EEXIST, ENOENT */
  makeDirectory(path: string, mode: number): void {
    const parent = this.#directory(dirname(path));
    const name = posix.basename(path);
    if (parent.entries.has(name)) throw systemError('EEXIST', path);
    const made = directory(mode);
    change(parent, (entries) => entries.set(name, made));
    this.#changed(path);
  }

  /** Replaces the content, which is as it was before `from`. @throws ENOSPC, with what fitted written */
  write(path: string, file: SimFile, content: Uint8Array, from = 0): void {
    const room = this.capacity - this.used() + file.content.length;
    file.content = content.slice(0, Math.max(0, room));
    file.unsynced.push(file.content);
    file.dirtyFrom = Math.min(file.dirtyFrom, from);
    this.#changed(path);
    if (content.length > room) throw systemError('ENOSPC', path);
  }

  append(path: string, file: SimFile, bytes: Uint8Array): void {
    const content = new Uint8Array(file.content.length + bytes.length);
    content.set(file.content);
    content.set(bytes, file.content.length);
    this.write(path, file, content, file.content.length);
  }

  /** fsync of a file. @throws EIO */
  sync(path: string, file: SimFile): void {
    const failing = this.failingSyncs > 0;
    if (!failing) writeBack(file);
    file.unsynced = [];
    file.dirtyFrom = Number.POSITIVE_INFINITY;
    if (failing) this.#fail(path);
  }

  /** fsync of a directory. @throws ENOENT, EIO */
  syncDirectory(path: string): void {
    const found = this.#directory(path);
    found.unsynced = [];
    if (this.failingSyncs > 0) this.#fail(path);
    found.durable = new Map(found.entries);
  }

  /** Within one directory. @throws ENOENT, EISDIR */
  rename(from: string, to: string): void {
    const parent = this.#directory(dirname(from));
    const node = this.find(from);
    const [oldName, newName] = [posix.basename(from), posix.basename(to)];
    if (parent.entries.get(newName)?.kind === 'directory') throw systemError('EISDIR', to);
    change(parent, (entries) => {
      entries.delete(oldName);
      entries.set(newName, node);
    });
    this.#changed(from);
    this.#changed(to);
  }

  /** @throws ENOENT, EISDIR */
  unlink(path: string): void {
    const parent = this.#directory(dirname(path));
    if (this.find(path).kind === 'directory') throw systemError('EISDIR', path);
    const name = posix.basename(path);
    change(parent, (entries) => entries.delete(name));
    this.#changed(path);
  }

  /** Bytes in use. */
  used(): number {
    let sum = 0;
    forEach(this.root, (node) => {
      if (node.kind === 'file') sum += node.content.length;
    });
    return sum;
  }

  /** sync(1), as a regular shutdown does. */
  syncAll(): void {
    forEach(this.root, (node) => {
      node.unsynced = [];
      if (node.kind === 'file') writeBack(node);
      else node.durable = new Map(node.entries);
    });
  }

  /** Power is gone: what was not synced is lost, kept or torn, as `chance` has it. Nobody may be using the disk. */
  powerCut(chance: Stream): void {
    forEach(this.root, (node) => {
      if (node.kind === 'file') afterPowerCut(node, chance);
      else entriesAfterPowerCut(node, chance);
    });
    this.#changed('/');
    // Names that are gone now hide what hung on them; names that came back do so with the durable part of theirs.
    forEach(this.root, (node) => {
      node.unsynced = [];
    });
  }

  /** Calls `listener` with each path that is written, made, renamed or removed. */
  watch(listener: (path: string) => void): { close(): void } {
    this.#listeners.add(listener);
    return { close: () => this.#listeners.delete(listener) };
  }

  #changed(path: string): void {
    this.#exists.clear();
    for (const listener of this.#listeners) listener(path);
  }

  #directory(path: string): SimDirectory {
    const node = this.find(path);
    if (node.kind !== 'directory') throw systemError('ENOTDIR', path);
    return node;
  }

  #fail(path: string): never {
    this.failingSyncs -= 1;
    throw systemError('EIO', path);
  }
}

function directory(mode: number): SimDirectory {
  return { kind: 'directory', mode, entries: new Map(), durable: new Map(), unsynced: [] };
}

const partsByPath = new Map<string, readonly string[]>();

function partsOf(path: string): readonly string[] {
  let parts = partsByPath.get(path);
  if (parts === undefined) {
    parts = path.split('/').filter((part) => part !== '');
    partsByPath.set(path, parts);
  }
  return parts;
}

function change(parent: SimDirectory, action: (entries: Map<string, SimNode>) => void): void {
  action(parent.entries);
  parent.unsynced.push(action);
}

/** Every node that a name leads to, now or after a power cut. */
function forEach(node: SimNode, visit: (node: SimNode) => void): void {
  visit(node);
  if (node.kind === 'file') return;
  const children = new Set([...node.entries.values(), ...node.durable.values()]);
  for (const child of children) forEach(child, visit);
}

/** What is dirty goes to the disk; what is clean stays what it is there, which after a failed fsync is not what is read. */
function writeBack(file: SimFile): void {
  const { content, mode, dirtyFrom } = file;
  const written = new Uint8Array(content.length);
  written.set(file.durable.content.subarray(0, Math.min(dirtyFrom, written.length)));
  if (dirtyFrom < content.length) written.set(content.subarray(dirtyFrom), dirtyFrom);
  file.durable = { content: written, mode };
  file.dirtyFrom = Number.POSITIVE_INFINITY;
}

function entriesAfterPowerCut(node: SimDirectory, chance: Stream): void {
  const entries = new Map(node.durable);
  const kept = chance.below(node.unsynced.length + 1);
  for (const action of node.unsynced.slice(0, kept)) action(entries);
  node.entries = entries;
  node.durable = new Map(entries);
}

function afterPowerCut(file: SimFile, chance: Stream): void {
  if (file.unsynced.length > 0) file.content = tornContent(file, chance);
  else file.content = file.durable.content;
  file.dirtyFrom = Number.POSITIVE_INFINITY;
  file.mode = file.durable.mode;
  file.durable = { content: file.content, mode: file.mode };
}

/** Each sector is that of one of the contents that there were; the length is that of one of them too. */
function tornContent(file: SimFile, chance: Stream): Uint8Array {
  const versions = [file.durable.content, ...file.unsynced];
  const fate = chance.below(3);
  if (fate === 0) return file.durable.content;
  if (fate === 1) return chance.pick(versions);
  const content = new Uint8Array(chance.pick(versions).length);
  for (let at = 0; at < content.length; at += sector) {
    content.set(chance.pick(versions).subarray(at, Math.min(at + sector, content.length)), at);
  }
  return content;
}
