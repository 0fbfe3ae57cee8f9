import { parseArgs } from 'node:util';
import { Stream } from '../support/sim/random.ts';
import { directed } from '../support/sim/renumbering/directed.ts';
import { aborts, aimedStory, plain, randomStory, unitFails } from '../support/sim/renumbering/stories.ts';
import { type Story, tell } from '../support/sim/renumbering/story.ts';

/**
 * Tells stories of renumberings: one with its log (`NAME SEED`), or many random ones (`--seeds N [--from N] [--story random|aimed] [--only FAULT,…]
 * [--bail]`):
 * storms and aimed faults in turn, where neither is asked for.
 */
const { values, positionals } = parseArgs({
  options: {
    seeds: { type: 'string' },
    from: { type: 'string', default: '0' },
    story: { type: 'string' },
    bail: { type: 'boolean' },
    only: { type: 'string' },
    grep: { type: 'string' },
  },
  allowPositionals: true,
});

const told: readonly Story[] = [
  plain(1),
  plain(2),
  plain(3, 5),
  unitFails(1),
  unitFails(2),
  ...aborts,
  ...directed,
];

function storyOf(name: string, seed: string): Story | undefined {
  if (name === 'random') return randomStory(new Stream(`random story ${seed}`), values.only?.split(','));
  if (name === 'aimed') return aimedStory(new Stream(`aimed story ${seed}`));
  return told.find((story) => story.name === name);
}

async function many(count: number, from: number): Promise<void> {
  const began = performance.now();
  const endings = new Map<string, number>();
  const seen = new Map<string, number>();
  const reached = new Map<string, number>();
  const broken: string[] = [];
  for (let number = from; number < from + count; number++) {
    const seed = String(number);
    const drawn = number % 2 === 0 ? 'random' : 'aimed';
    const story = storyOf(values.story ?? (values.only === undefined ? drawn : 'random'), seed);
    if (story === undefined) return;
    try {
      const { endings: all, seen: some, deadMen, records } = await tell(story, seed);
      for (const record of new Set(records))
        if (record.startsWith('done')) reached.set(record, (reached.get(record) ?? 0) + 1);
      const came = deadMen > 0 ? [...some.keys(), 'a dead man acted'] : some.keys();
      for (const what of came) seen.set(what, (seen.get(what) ?? 0) + 1);
      for (const { outcome, reason } of all) {
        const ending = `${outcome} ${reason ?? ''}`;
        endings.set(ending, (endings.get(ending) ?? 0) + 1);
      }
    } catch (thrown) {
      broken.push(`${seed}: ${thrown instanceof Error ? thrown.message.split('\n')[0] : String(thrown)}`);
      if (values.bail === true) break;
    }
  }
  for (const [ending, times] of [...endings].sort((a, b) => b[1] - a[1])) console.log(`${times}\t${ending}`);
  for (const line of broken.slice(0, 50)) console.log(line);
  console.log('stories in which it came about:');
  for (const [what, times] of [...seen].sort((a, b) => b[1] - a[1])) console.log(`${times}\t${what}`);
  console.log('stories in which it was seen:');
  for (const [what, times] of [...reached].sort((a, b) => b[1] - a[1])) console.log(`${times}\t${what}`);
  const seconds = (performance.now() - began) / 1000;
  console.log(`${count} seeds in ${seconds.toFixed(1)} s, ${broken.length} broken`);
  process.exitCode = broken.length === 0 ? 0 : 1;
}

const [name, seed] = positionals;
if (values.seeds !== undefined) {
  await many(Number(values.seeds), Number(values.from));
} else {
  const story = name === undefined || seed === undefined ? undefined : storyOf(name, seed);
  if (story === undefined || seed === undefined) {
    console.error(
      'usage: npx node test/sim/retell.ts NAME SEED [--grep TEXT] | --seeds N [--from N] [--story random|aimed] [--only FAULT,…] [--bail]',
    );
    console.error(`stories: random aimed ${told.map((each) => each.name).join(' ')}`);
    process.exitCode = 2;
  } else {
    const wanted = values.grep === undefined ? undefined : new RegExp(values.grep);
    const print = (line: string): void => {
      if (wanted === undefined || wanted.test(line)) console.log(line);
    };
    try {
      const { endings, points, left, seen, hash, ms, deadMen } = await tell(story, seed, print);
      const told = {
        endings,
        points: points.length,
        left,
        seen: Object.fromEntries(seen),
        hash,
        ms,
        deadMen,
      };
      console.log(JSON.stringify(told, undefined, 1));
    } catch (thrown) {
      console.error(thrown instanceof Error ? thrown.message : thrown);
      process.exitCode = 1;
    }
  }
}
