import { describe, expect, it } from 'vitest';
import { createBootClock, parseUptime } from '../../../src/host/boot-clock.ts';
import { createFiles } from '../../../src/host/files.ts';

describe('the boot clock', () => {
  it('reads this machine, and never goes back', async () => {
    const clock = createBootClock(createFiles());
    const first = await clock.now();
    const second = await clock.now();
    expect(first.bootId).toMatch(/^[0-9a-f-]{36}$/);
    expect(second.bootId).toBe(first.bootId);
    expect(second.seconds).toBeGreaterThanOrEqual(first.seconds);
  });

  it.each(['', 'inf 1.0', '-1.00 2.00', '12', '1e3 5.0'])('takes %j for no time', (text) => {
    expect(() => parseUptime(text)).toThrow(expect.objectContaining({ code: 'OUTPUT_UNREADABLE' }));
  });
});
