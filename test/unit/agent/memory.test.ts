import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { type Memory, memoryPath, readMemory, remember, writeMemory } from '../../../src/agent/memory.ts';
import { createFiles } from '../../../src/host/files.ts';
import { parseAddress } from '../../../src/protocol/address.ts';

const own = { cluster: 'demo', host: 'n1' };
const hour = 3_600_000;
const before: Memory = {
  ...own,
  nodeUid: 1,
  internalAddress: parseAddress('192.0.2.1'),
  peers: [{ host: 'n2', address: parseAddress('192.0.2.2'), seenAt: 0 }],
};
const n2 = { host: 'n2', address: parseAddress('192.0.2.2'), machineId: undefined, nodeUid: undefined };
const nothing = { nodeUid: undefined, internalAddress: undefined, peers: [], at: 0 };

describe('remember', () => {
  it('keeps what is not known now: that is what it is for', () => {
    expect(remember(before, { ...nothing, at: hour })).toBe(before);
  });

  it('takes a new address of its own and of a peer at once', () => {
    const peers = [{ ...n2, address: parseAddress('192.0.2.9') }];
    const after = remember(before, { nodeUid: 1, internalAddress: parseAddress('192.0.2.8'), peers, at: 1 });
    expect(after.internalAddress).toBe('192.0.2.8');
    expect(after.peers).toEqual([{ host: 'n2', address: '192.0.2.9', seenAt: 1 }]);
  });

  it('gives the same object back while nothing is worth a write, and refreshes a peer that is seen once an hour', () => {
    const peers = [n2];
    expect(remember(before, { ...nothing, peers, at: hour - 1 })).toBe(before);
    expect(remember(before, { ...nothing, peers, at: hour + 1 }).peers[0]?.seenAt).toBe(hour + 1);
  });

  it('holds a host to the machine it was first seen with, and takes the node that RS bears out', () => {
    const first = remember(before, { ...nothing, peers: [{ ...n2, machineId: 'first', nodeUid: 2 }] });
    expect(first.peers[0]).toMatchObject({ machineId: 'first', nodeUid: 2 });
    const later = remember(first, { ...nothing, peers: [{ ...n2, machineId: 'second' }] });
    expect(later.peers[0]).toMatchObject({ machineId: 'first', nodeUid: 2 });
  });

  it('forgets a peer after 30 days without a link, and not before', () => {
    expect(remember(before, { ...nothing, at: 29 * 24 * hour }).peers).toHaveLength(1);
    expect(remember(before, { ...nothing, at: 31 * 24 * hour }).peers).toHaveLength(0);
  });
});

describe('the identity file', () => {
  it('gives back what was written, for root alone', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'rlnet-test-'));
    try {
      const files = createFiles();
      const path = memoryPath(directory);
      expect(await readMemory(files, path, own)).toBeUndefined();
      await writeMemory(files, path, before);
      expect(await readMemory(files, path, own)).toEqual(before);
      expect(await files.mode(path)).toBe(0o600);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test.for([
    ['is not JSON', '{'],
    ['lacks its peers', JSON.stringify({ ...own })],
    ['holds an address that is none', JSON.stringify({ ...before, internalAddress: '192.0.2.1/24' })],
    ['is of another host', JSON.stringify({ ...before, host: 'n9' })],
    ['is of another cluster', JSON.stringify({ ...before, cluster: 'other' })],
  ])('is refused and left as it is when it %s', async ([, text]) => {
    const directory = await mkdtemp(join(tmpdir(), 'rlnet-test-'));
    try {
      const path = memoryPath(directory);
      await writeFile(path, text ?? '');
      await expect(readMemory(createFiles(), path, own)).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        at: { file: path },
      });
      expect(await readFile(path, 'utf8')).toBe(text);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
