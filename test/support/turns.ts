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
