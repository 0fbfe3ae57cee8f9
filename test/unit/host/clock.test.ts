import { createClock } from '../../../src/host/clock.ts';
import { clockContract } from '../../support/contracts/clock.ts';

clockContract('the real clock', () => ({
  clock: createClock(),
  pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms + 1)),
}));
