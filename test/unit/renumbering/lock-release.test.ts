import { expect, it } from 'vitest';
import { admitsOf } from '../../../src/agent/operations.ts';
import { LockKeeper } from '../../../src/agent/renumbering/lock-keeper.ts';
import { createOperatorHandlers } from '../../../src/agent/renumbering/operator-handlers.ts';
import { PlanStore } from '../../../src/agent/renumbering/plan-store.ts';
import { createFiles } from '../../../src/host/files.ts';
import { parseInterfaceAddress } from '../../../src/protocol/address.ts';
import { asRlnetError } from '../../../src/protocol/errors.ts';
import type { Claim } from '../../../src/protocol/renumbering/lock.ts';
import type { OpenRenumbering } from '../../../src/protocol/renumbering/request.ts';
import type { HostState } from '../../../src/protocol/state.ts';
import { recordLog } from '../../support/agents.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** What n1 is asked, where the agent of n2, or n1 itself, has the lock. */

const claimOf = (host: string): Claim => ({ host, epoch: 1, planId: 'aaaaaaaaaaaa', members: [1, 2, 3] });

const standing = (is: 'open' | 'stopped', planId = 'aaaaaaaaaaaa'): OpenRenumbering => ({
  planId,
  nodeUid: 2,
  is,
  since: 0,
  from: parseInterfaceAddress('192.0.2.2/24'),
  to: parseInterfaceAddress('192.0.2.52/24'),
  direction: 'forward',
});

interface Holder {
  claim?: Claim;
  /** The claim is known to be closed. */
  closed?: boolean;
  /** What the holder's agent said of its renumbering last. */
  says?: OpenRenumbering;
  linked?: boolean;
  /** When it was heard last, milliseconds ago; undefined for a host that n1 does not know. */
  heardMsAgo?: number | undefined;
}

async function released(hostIsOff: boolean, holder: Holder) {
  const { claim = claimOf('n2'), says, linked = false } = holder;
  const clock = createManualClock();
  const directory = await temporaryDirectory();
  const keeper = await LockKeeper.open({
    files: createFiles(),
    path: `${directory}/lock.json`,
    rsView: async () => undefined,
    askOthers: async () => new Map(),
    changed: () => {},
  });
  await keeper.hear('n3', { highestEpoch: 1, closed: {}, granted: claim });
  if (holder.closed === true) await keeper.close(claim);
  const log = recordLog();
  const unused = async (): Promise<never> => {
    throw new RangeError('lock release asks nobody else');
  };
  const since = clock.wall() - (holder.heardMsAgo ?? 0);
  const known = 'heardMsAgo' in holder && holder.heardMsAgo === undefined ? [] : ['n2'];
  const handlers = createOperatorHandlers({
    host: 'n1',
    renumberings: {
      keeper,
      standing: claim.host === 'n1' ? says : undefined,
      start: unused,
      abort: unused,
      resume: unused,
      history: unused,
      recordsOf: unused,
    },
    plans: new PlanStore(createFiles(), clock, `${directory}/plans`),
    makePlan: unused,
    nodeUid: () => 1,
    admit: admitsOf('n1', true, log),
    resolve: (node = 'n1') => node,
    others: () =>
      known.map((host) => ({
        host,
        linked,
        since,
        state: says === undefined ? undefined : ({ renumbering: says } as HostState),
      })),
    clock,
    ask: unused,
    log,
  });
  const params = { by: 'root', reason: 'the host burned down', hostIsOff };
  try {
    const { closed } = await handlers.lock_release(params, { caller: 'act', host: 'n1' });
    const reopened = await LockKeeper.open({
      files: createFiles(),
      path: `${directory}/lock.json`,
      rsView: async () => undefined,
      askOthers: async () => new Map(),
      changed: () => {},
    });
    return { closed, onDisk: reopened.answerHeld(claim), open: keeper.openClaims(), log: log.entries };
  } catch (thrown) {
    const { code, message, remedy } = asRlnetError(thrown);
    return { code, message, remedy, open: keeper.openClaims() };
  }
}

const freed = (claim: Claim) => ({ closed: [claim], onDisk: 'closed', open: [] });
const refused = (message: RegExp, remedy: RegExp) => ({
  code: 'LOCK_HOLDER_ALIVE',
  message: expect.stringMatching(message),
  remedy: expect.stringMatching(remedy),
  open: [expect.anything()],
});

it('is refused where the holder answers and its renumbering is under way, whatever is said of its host', async () => {
  for (const hostIsOff of [false, true]) {
    expect(await released(hostIsOff, { linked: true, says: standing('open') })).toMatchObject(
      refused(/n2 has the lock, its agent answers/, /rlnet renumber abort aaaaaaaaaaaa/),
    );
  }
});

it.each([
  ['has stopped', standing('stopped')],
  ['is another one', standing('open', 'bbbbbbbbbbbb')],
  ['is none of its any more', undefined],
])('frees the lock of a holder that answers and whose renumbering %s', async (_what, says) => {
  const holder = says === undefined ? { linked: true } : { linked: true, says };
  expect(await released(false, holder)).toMatchObject(freed(claimOf('n2')));
});

it('is refused for a holder that does not answer, unless somebody says that its host is off', async () => {
  expect(await released(false, { heardMsAgo: 3_600_000 })).toMatchObject(
    refused(/does not answer/, /--host-is-off/),
  );
  expect(await released(true, { heardMsAgo: 3_600_000 })).toMatchObject(freed(claimOf('n2')));
});

it('takes nobody at his word before the holder has been silent for 60 s', async () => {
  expect(await released(true, { heardMsAgo: 59_000 })).toMatchObject(
    refused(/answered 59 s ago/, /60 s have gone by/),
  );
  expect(await released(true, { heardMsAgo: 60_000 })).toMatchObject(freed(claimOf('n2')));
});

it('goes by the word alone for a host that nobody here knows', async () => {
  expect(await released(false, { heardMsAgo: undefined })).toMatchObject(
    refused(/does not answer/, /--host-is-off/),
  );
  expect(await released(true, { heardMsAgo: undefined })).toMatchObject(freed(claimOf('n2')));
});

it("frees this host's own claim once its renumbering has stopped, and not before", async () => {
  const claim = claimOf('n1');
  expect(await released(true, { claim, says: standing('open') })).toMatchObject(
    refused(/n1 has the lock/, /rlnet renumber abort/),
  );
  expect(await released(false, { claim, says: standing('stopped') })).toMatchObject(freed(claim));
  expect(await released(false, { claim })).toMatchObject(freed(claim));
});

it('says so where nobody has the lock, and writes down who freed it and why', async () => {
  expect(await released(true, { closed: true })).toMatchObject({ code: 'LOCK_NOT_HELD', open: [] });
  expect(await released(true, { heardMsAgo: 60_000 })).toMatchObject({
    log: expect.arrayContaining([
      {
        level: 'warn',
        fields: expect.objectContaining({ host: 'n2', epoch: 1, by: 'root', reason: 'the host burned down' }),
        text: 'an operator freed the lock',
      },
    ]),
  });
});
