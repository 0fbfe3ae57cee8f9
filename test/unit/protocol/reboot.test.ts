import { describe, expect, it } from 'vitest';
import { hasRebooted, rebootOverdue } from '../../../src/protocol/reboot.ts';

describe('a reboot', () => {
  const asked = { bootId: 'one', seconds: 1000 };

  it.each([
    ['has not happened while the boot is the same', { bootId: 'one', seconds: 90_000 }, false],
    ['has happened once the boot id is another', { bootId: 'two', seconds: 12 }, true],
    ['has happened also where the seconds go on, as in a container', { bootId: 'two', seconds: 5000 }, true],
  ])('%s', (_what, now, happened) => {
    expect(hasRebooted(asked, now)).toBe(happened);
  });

  it('that is overdue is told with how long ago it was asked for, and the boot', () => {
    expect(rebootOverdue(asked, { bootId: 'one', seconds: 1090 })).toMatchObject({
      code: 'REBOOT_DID_NOT_HAPPEN',
      message: expect.stringMatching(/90 s ago.*one/),
    });
  });
});
