/**
 * For tests that run beside others and share one thing among themselves: what is given to the function it returns is done one after
 * the other, in the order in which it was given.
 */
export function turns(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work);
    last = mine.catch(() => {});
    return mine;
  };
}

/** For tests that run beside others and share several like things: each piece of work has one for itself, as soon as one is free. */
export function lending<T>(things: readonly T[]): (work: (thing: T) => Promise<void>) => Promise<void> {
  const free = [...things];
  const waiting: ((thing: T) => void)[] = [];
  return async (work) => {
    const thing = free.shift() ?? (await new Promise<T>((resolve) => waiting.push(resolve)));
    try {
      await work(thing);
    } finally {
      const next = waiting.shift();
      if (next === undefined) free.push(thing);
      else next(thing);
    }
  };
}
