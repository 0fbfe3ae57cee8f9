import { clockContract } from '../../support/contracts/clock.ts';
import { createManualClock } from '../../support/manual-clock.ts';

clockContract('the manual clock', () => {
  const clock = createManualClock();
  return { clock, pass: (ms) => clock.pass(ms) };
});
