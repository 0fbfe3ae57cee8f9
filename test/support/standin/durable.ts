import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Replica } from './replica.ts';
import type { Settings } from './settings.ts';

/** What survives a reboot: who this node is, and its replica. */
export interface DurableState {
  uid: number;
  replica: Replica;
}

/** Writes a whole file so that a crash leaves the old or the new one: temporary file, fsync, rename, directory fsync. */
export function writeDurably(path: string, text: string, mode = 0o600): void {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.new`;
  const file = openSync(temporary, 'w', mode);
  writeSync(file, text);
  fsyncSync(file);
  closeSync(file);
  renameSync(temporary, path);
  const directory = openSync(dirname(path), 'r');
  fsyncSync(directory);
  closeSync(directory);
}

function statePath(settings: Settings): string {
  return join(settings.varDir, 'persist', 'standin-cluster.json');
}

/** Undefined on a host that is in no cluster. */
export function loadState(settings: Settings): DurableState | undefined {
  const path = statePath(settings);
  // Our own file, written whole or not at all.
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as DurableState) : undefined;
}

export function saveState(settings: Settings, state: DurableState): void {
  writeDurably(statePath(settings), JSON.stringify(state));
}

/** `/etc/opt/redislabs/node.id`: written at bootstrap, read by everybody who wants to know which node this is. */
export function writeNodeId(settings: Settings, uid: number): void {
  writeDurably(join(settings.etcDir, 'node.id'), `${uid}\n`, 0o644);
}
