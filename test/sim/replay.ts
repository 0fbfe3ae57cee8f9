import { parseArgs } from 'node:util';
import { play } from '../support/sim/scenario.ts';
import { scenarios } from './scenarios.ts';

const { values, positionals } = parseArgs({
  options: { quiet: { type: 'boolean' }, grep: { type: 'string' } },
  allowPositionals: true,
});
const [name, seed] = positionals;
const scenario = scenarios.find((each) => each.name === name);
if (scenario === undefined || seed === undefined) {
  console.error('usage: npx node test/sim/replay.ts SCENARIO SEED [--quiet] [--grep TEXT]');
  console.error(`scenarios: ${scenarios.map((each) => each.name).join(' ')}`);
  process.exitCode = 2;
} else {
  const wanted = values.grep;
  const print = (line: string): void => {
    if (wanted === undefined || line.includes(wanted)) console.log(line);
  };
  try {
    const began = performance.now();
    const { result, hash, events, ms } = await play(
      scenario,
      seed,
      values.quiet === true ? undefined : print,
    );
    const took = performance.now() - began;
    console.log(JSON.stringify(result, undefined, 1));
    console.log(
      `${hash}: ${events} events, ${(ms / 1000).toFixed(1)} virtual s in ${(took / 1000).toFixed(1)} s`,
    );
  } catch (thrown) {
    console.error(thrown instanceof Error ? thrown.message : thrown);
    process.exitCode = 1;
  }
}
