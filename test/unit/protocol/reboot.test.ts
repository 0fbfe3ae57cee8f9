import { describe, expect, it } from 'vitest';
import { judgeReboot, rebootOverdue } from '../../../src/protocol/reboot.ts';

describe('judgeReboot', () => {
  const asked = { bootId: 'one', seconds: 1000 };

  it.each([
    ['pending within the bound', { bootId: 'one', seconds: 1059.9 }, 'pending'],
    ['overdue at the bound', { bootId: 'one', seconds: 1060 }, 'overdue'],
    ['happened once the boot id is another', { bootId: 'two', seconds: 12 }, 'happened'],
    [
      'happened also where the seconds go on, as in a container',
      { bootId: 'two', seconds: 5000 },
      'happened',
    ],
  ])('takes it for %s', (_what, now, verdict) => {
    expect(judgeReboot(asked, now, 60)).toBe(verdict);
  });

  it('has an error for one that is overdue, with how long and which boot', () => {
    expect(rebootOverdue(asked, { bootId: 'one', seconds: 1090 })).toMatchObject({
      code: 'REBOOT_DID_NOT_HAPPEN',
      message: expect.stringMatching(/90 s ago.*one/),
    });
  });
});
