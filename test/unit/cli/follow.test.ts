import { expect, it, onTestFinished } from 'vitest';
import { createFiles } from '../../../src/host/files.ts';
import { createLocalSockets } from '../../../src/host/local-sockets.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import {
  decodeMessage,
  encodeMessage,
  maxLocalMessageBytes,
  responseTo,
} from '../../../src/protocol/messages.ts';
import { rlnet } from '../../support/cli.ts';
import { examplePlan } from '../../support/renumbering/plan.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const moment = { wall: 0, at: { bootId: 'aaaaaaaaaaaa', seconds: 1 } };
const plan = examplePlan();
const begun = {
  result: { host: 'n2', planId: plan.id, records: [{ type: 'open', ...moment, plan }], more: false },
};
const over = {
  result: {
    host: 'n2',
    planId: plan.id,
    records: [{ type: 'closed', ...moment, outcome: 'done' }],
    more: false,
    outcome: 'done',
  },
};
/** What a peer says to an agent that has just come back. */
const refused = {
  error: new RlnetError('NOT_PERMITTED', 'A candidate may not call renumber_journal.', 'See.').report(),
};

/** Follows a renumbering by an agent that gives these answers, one after the other. */
async function follow(answers: readonly Parameters<typeof responseTo>[1][]) {
  const directory = await temporaryDirectory();
  const left = [...answers];
  const listener = await createLocalSockets(createFiles()).listen(
    `${directory}/agent.sock`,
    { mode: 0o600, group: undefined },
    (channel) =>
      channel.start({
        line: (line) => {
          const request = decodeMessage(line, maxLocalMessageBytes);
          const answer = left.shift();
          if (request?.type === 'request' && answer !== undefined)
            channel.send(encodeMessage(responseTo(request.id, answer)));
        },
        closed: () => {},
      }),
  );
  onTestFinished(() => listener.close());
  return await rlnet(['renumber', 'follow', plan.id, '--runtime-directory', directory]);
}

it('waits where its agent has come back and its peers do not know its node yet', async () => {
  const { exitCode, stdout } = await follow([begun, refused, refused, over]);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/begun: .*\nA candidate may not call renumber_journal; waiting\n.*done\n$/);
});

it('ends with a refusal where nothing was ever answered', async () => {
  const { exitCode, stderr } = await follow([refused]);
  expect([exitCode, stderr]).toEqual([4, expect.stringContaining('NOT_PERMITTED')]);
});
