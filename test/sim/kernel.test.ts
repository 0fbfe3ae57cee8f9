import { describe, expect, it } from 'vitest';
import { Kernel } from '../support/sim/kernel.ts';
import { SimProcess } from '../support/sim/process.ts';
import { Stream } from '../support/sim/random.ts';

function processOf(kernel: Kernel, name = 'process'): SimProcess {
  return new SimProcess(kernel, name, { wall: () => kernel.now, monotonic: () => kernel.now });
}

/** The real clock fires up to a millisecond late, and so does the simulated one. */
const late = 1.001;

describe('the kernel', () => {
  it('runs events by time, and those of one time in the order in which they were scheduled', async () => {
    const kernel = new Kernel('1');
    const seen: string[] = [];
    for (const [at, name] of [
      [5, 'b'],
      [1, 'a'],
      [5, 'c'],
      [0, 'first'],
      [5, 'd'],
    ] as const) {
      kernel.world(at, name, () => seen.push(name));
    }
    await kernel.run(10);
    expect(seen).toEqual(['first', 'a', 'b', 'c', 'd']);
    expect(kernel.now).toBe(10);
  });

  it('keeps the order of a heap of many events', async () => {
    const kernel = new Kernel('1');
    const stream = new Stream('times');
    const seen: number[] = [];
    for (let count = 0; count < 2_000; count++)
      kernel.world(stream.below(500), 'x', () => seen.push(kernel.now));
    await kernel.run(500);
    expect(seen).toHaveLength(2_000);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });

  it('runs all that awaits to its end before the next event, however many steps it takes', async () => {
    const kernel = new Kernel('1');
    const seen: string[] = [];
    kernel.world(1, 'long', () => {
      void (async () => {
        for (let step = 0; step < 50; step++) await Promise.resolve();
        queueMicrotask(() => seen.push('long'));
      })();
    });
    kernel.world(1, 'next', () => seen.push('next'));
    await kernel.run(2);
    expect(seen).toEqual(['long', 'next']);
  });

  it('asks the checks after every event, and passes on what they throw', async () => {
    const kernel = new Kernel('1');
    let healthy = true;
    kernel.check(() => {
      if (!healthy) throw new Error('It is not healthy.');
    });
    kernel.world(1, 'fine', () => {});
    kernel.world(2, 'falls ill', () => {
      healthy = false;
    });
    kernel.world(3, 'too late', () => {
      healthy = true;
    });
    await expect(kernel.run(10)).rejects.toThrow('It is not healthy.');
    expect(kernel.now).toBe(2);
  });

  it('stops as soon as a condition is met, and says when it was', async () => {
    const kernel = new Kernel('1');
    let met = false;
    kernel.world(4, 'meets it', () => {
      met = true;
    });
    expect(await kernel.runUntil(() => met, 100)).toBe(4);
    expect(await kernel.runUntil(() => false, 100)).toBeUndefined();
    expect(kernel.now).toBe(104);
  });
});

describe('a stream of chance', () => {
  it('is the same for the same name, and another for another', () => {
    const draw = (stream: Stream) => Array.from({ length: 20 }, () => stream.uint32());
    expect(draw(new Stream('a'))).toEqual(draw(new Stream('a')));
    expect(draw(new Stream('a'))).not.toEqual(draw(new Stream('b')));
  });

  it('does not hang on what others drew', () => {
    const root = new Stream('root');
    const before = root.split('child').uint32();
    for (let count = 0; count < 100; count++) root.uint32();
    expect(root.split('child').uint32()).toBe(before);
  });

  it('is uniform enough that a tenth of it lies in each tenth', () => {
    const stream = new Stream('uniform');
    const counts = Array.from({ length: 10 }, () => 0);
    for (let count = 0; count < 20_000; count++) {
      const tenth = stream.below(10);
      counts[tenth] = (counts[tenth] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 2_000)).toBeLessThan(250);
  });
});

describe('a process', () => {
  it('fires late timers first when it is thawed, in the order of their deadlines, and then reads what arrived', async () => {
    const kernel = new Kernel('1');
    const process = processOf(kernel);
    const seen: string[] = [];
    process.clock.after(300, () => seen.push('timer 300'));
    process.clock.after(100, () => {
      seen.push('timer 100');
      process.clock.after(50, () => seen.push('timer set on waking'));
    });
    process.io(10, 'data', () => seen.push('data'));
    process.io(200, 'more data', () => seen.push('more data'));
    process.freeze();
    await kernel.run(1_000);
    expect(seen).toEqual([]);
    process.thaw();
    await kernel.run(10);
    expect(seen).toEqual(['timer 100', 'timer 300', 'data', 'more data']);
    await kernel.run(50 + late);
    expect(seen.at(-1)).toBe('timer set on waking');
  });

  it('does nothing while its event loop is stalled, and goes on by itself', async () => {
    const kernel = new Kernel('1');
    const process = processOf(kernel);
    const seen: number[] = [];
    process.clock.after(100, () => seen.push(kernel.now));
    process.stall(5_000);
    process.stall(2_000);
    await kernel.run(4_999);
    expect(process.isRunning).toBe(false);
    expect(seen).toEqual([]);
    await kernel.run(2);
    expect(seen).toEqual([5_000]);
  });

  it('stays frozen through the end of a stall', async () => {
    const kernel = new Kernel('1');
    const process = processOf(kernel);
    process.stall(1_000);
    process.freeze();
    await kernel.run(2_000);
    expect(process.isRunning).toBe(false);
    process.thaw();
    expect(process.isRunning).toBe(true);
  });

  it('never goes on once it is dead, and the system cleans up behind it', async () => {
    const kernel = new Kernel('1');
    const process = processOf(kernel);
    const seen: string[] = [];
    process.onExit(() => seen.push('cleaned up'));
    process.clock.after(10, () => seen.push('timer'));
    void process.call(10, 'call', () => 1).then(() => seen.push('call'));
    process.exit();
    process.exit();
    process.clock.after(10, () => seen.push('timer of a dead process'));
    await kernel.run(100);
    expect(seen).toEqual(['cleaned up']);
  });

  it('draws its own chance: what another process does changes nothing for it', async () => {
    const fire = async (busy: boolean): Promise<number[]> => {
      const kernel = new Kernel('1');
      const process = processOf(kernel, 'one');
      const other = processOf(kernel, 'other');
      const seen: number[] = [];
      for (let count = 1; count <= 20; count++) {
        process.clock.after(count * 10, () => seen.push(kernel.now));
        if (busy) other.clock.after(count, () => other.random.id());
      }
      await kernel.run(1_000);
      return seen;
    };
    expect(await fire(true)).toEqual(await fire(false));
  });
});
