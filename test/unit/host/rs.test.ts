import { mkdir, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { createFiles } from '../../../src/host/files.ts';
import { createRs, parseNodeId, toNodeTable } from '../../../src/host/rs.ts';
import { execWithPrograms } from '../../support/programs.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const table = `CLUSTER NODES:
NODE:ID ROLE   ADDRESS     EXTERNAL_ADDRESS          HOSTNAME SHARDS VERSION   STATUS
*node:1 master 192.0.2.2                             one      5/100  6.2.12-37 OK
node:2  slave  192.0.2.3   198.51.100.2,198.51.100.3 two      0/100  6.2.12-37 DOWN, last seen 33s ago
`;

async function rsWith(script: string) {
  const nodeIdFile = `${await temporaryDirectory()}/node.id`;
  return {
    nodeIdFile,
    rs: createRs(await execWithPrograms({ rladmin: script }), createFiles(), {
      rladmin: 'rladmin',
      nodeIdFile,
    }),
  };
}

describe('toNodeTable', () => {
  it('keeps what is known of a node and leaves out what is not', () => {
    expect(toNodeTable(table)).toEqual({
      nodes: [
        {
          uid: 1,
          isLocal: true,
          role: 'master',
          address: '192.0.2.2',
          externalAddresses: [],
          shards: { used: 5, limit: 100 },
          hostname: 'one',
          version: '6.2.12-37',
          status: 'ok',
          statusText: 'OK',
        },
        {
          uid: 2,
          isLocal: false,
          role: 'slave',
          address: '192.0.2.3',
          externalAddresses: ['198.51.100.2', '198.51.100.3'],
          shards: { used: 0, limit: 100 },
          hostname: 'two',
          version: '6.2.12-37',
          status: 'down',
          statusText: 'DOWN, last seen 33s ago',
        },
      ],
      unread: [],
    });
  });

  it('keeps a row that cannot be read beside those that can', () => {
    const { nodes, unread } = toNodeTable(`${table}node:x  slave  192.0.2.4   two\n`);
    expect(nodes.map(({ uid }) => uid)).toEqual([1, 2]);
    expect(unread).toEqual([{ line: expect.stringContaining('node:x'), reason: expect.any(String) }]);
  });

  it.each(['', 'ERROR: Cluster is not reachable\n', 'NODE:ID ROLE ADDRESS STATUS\n'])(
    'refuses %j, which names no node, as OUTPUT_UNREADABLE',
    (text) => {
      expect(() => toNodeTable(text)).toThrow(expect.objectContaining({ code: 'OUTPUT_UNREADABLE' }));
    },
  );
});

describe('parseNodeId', () => {
  it.each([
    ['1\n', 1],
    ['12', 12],
    [' 7 \r\n', 7],
  ])('reads %j', (text, uid) => {
    expect(parseNodeId(text, '/node.id')).toBe(uid);
  });

  it.each(['', '\n', '0', '01', '-1', '1.0', '1 2', '0x1', 'node:1', '9'.repeat(30)])(
    'refuses %j',
    (text) => {
      expect(() => parseNodeId(text, '/node.id')).toThrow(
        expect.objectContaining({ code: 'OUTPUT_UNREADABLE', message: expect.stringContaining('/node.id') }),
      );
    },
  );
});

describe('RS on a host', () => {
  it('that is no node has no uid', async () => {
    const { rs } = await rsWith('exit 1');
    expect(await rs.localUid()).toBeUndefined();
  });

  it('has the uid of its node.id file', async () => {
    const { rs, nodeIdFile } = await rsWith('exit 1');
    await writeFile(nodeIdFile, '5\n');
    expect(await rs.localUid()).toBe(5);
  });

  it('has no uid that is known while the file cannot be read', async () => {
    const { rs, nodeIdFile } = await rsWith('exit 1');
    await mkdir(nodeIdFile);
    await expect(rs.localUid()).rejects.toMatchObject({ code: 'EISDIR' });
  });

  it('gives the node table of rladmin status nodes', async () => {
    const { rs } = await rsWith(`[ "$*" = "status nodes" ] || exit 9\ncat <<'END'\n${table}END`);
    expect((await rs.nodeTable()).nodes.map(({ uid, status }) => `${uid} ${status}`)).toEqual([
      '1 ok',
      '2 down',
    ]);
  });

  it('says COMMAND_FAILED with what rladmin said, even where it printed a table too', async () => {
    const { rs } = await rsWith(`cat <<'END'\n${table}END\necho "ERROR: no quorum" >&2; exit 1`);
    await expect(rs.nodeTable()).rejects.toMatchObject({
      code: 'COMMAND_FAILED',
      message: 'rladmin status nodes ended with exit status 1: ERROR: no quorum',
    });
  });

  it('says COMMAND_NOT_FOUND where RS is not installed', async () => {
    const rs = createRs(await execWithPrograms({}), createFiles(), {
      rladmin: '/nowhere/rladmin',
      nodeIdFile: '/nowhere/node.id',
    });
    await expect(rs.nodeTable()).rejects.toMatchObject({ code: 'COMMAND_NOT_FOUND' });
    expect(await rs.localUid()).toBeUndefined();
  });
});

describe('replicaHaGraceSeconds', () => {
  it('is read from info cluster, and not known where RS does not show it', async () => {
    const shown = await rsWith('echo "slave_ha: enabled"; echo "slave_ha_grace_period: 900"');
    expect(await shown.rs.replicaHaGraceSeconds()).toBe(900);
    const silent = await rsWith('echo "slave_ha: enabled"');
    expect(await silent.rs.replicaHaGraceSeconds()).toBeUndefined();
  });
});
