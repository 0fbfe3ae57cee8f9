import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LockKeeper } from '../../../src/agent/renumbering/lock-keeper.ts';
import { createFiles } from '../../../src/host/files.ts';
import type { LockState } from '../../../src/protocol/renumbering/lock.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const end = Number.MAX_SAFE_INTEGER;
const members = [1, 2, 3];
const lie: LockState = {
  highestEpoch: end,
  closed: { n1: end },
  granted: { epoch: end, host: 'n3', planId: 'made-up', members },
};

async function open(): Promise<LockKeeper> {
  return await LockKeeper.open({
    files: createFiles(),
    path: join(await temporaryDirectory(), 'lock.json'),
    rsView: async () => ({ uids: members, own: 1, quorum: true }),
    askOthers: async () => new Map([2, 3].map((uid) => [uid, { highestEpoch: 4, closed: { n2: 4 } }])),
    changed: () => {},
  });
}

test('what a thief tells of the lock keeps no claim from being granted', async () => {
  const keeper = await open();
  await keeper.hear('n3', lie);
  expect(keeper.openClaims()).toEqual([]);
  const epoch = await keeper.nextEpoch();
  expect(epoch).toBe(1_000_005);
  const claim = { epoch, host: 'n1', planId: 'plan', members };
  expect((await keeper.grant(claim, 'n1')).grant).toBe(true);
  expect(keeper.answerHeld(claim)).toBe('granted');
});

test('a claim that is too far above the others is neither granted nor noted as closed', async () => {
  const keeper = await open();
  expect(await keeper.grant({ epoch: end, host: 'n3', planId: 'plan', members }, 'n3')).toMatchObject({
    grant: false,
    reason: { code: 'LOCK_EPOCH_TOO_HIGH' },
  });
  await expect(keeper.close({ epoch: end, host: 'n3' })).rejects.toMatchObject({
    code: 'LOCK_EPOCH_TOO_HIGH',
  });
  expect(keeper.told).toEqual({ highestEpoch: 4, closed: { n2: 4 } });
});
