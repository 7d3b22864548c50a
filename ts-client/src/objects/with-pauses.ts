/** The items as they come, and undefined where none comes for as long as `patience` says: it is asked before each. */
export async function* withPauses<Item>(
  items: AsyncGenerator<Item, void, undefined>,
  patience: () => number | undefined,
): AsyncGenerator<Item | undefined, void, undefined> {
  try {
    let next = items.next();
    for (;;) {
      const result = await within(next, patience());
      if (result?.done) return;
      yield result?.value;
      if (result) next = items.next();
    }
  } finally {
    await items.return();
  }
}

async function within<Result>(promise: Promise<Result>, milliseconds: number | undefined): Promise<Result | undefined> {
  if (milliseconds === undefined) return await promise;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const pause = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), Math.max(0, milliseconds));
  });
  try {
    return await Promise.race([promise, pause]);
  } finally {
    clearTimeout(timer);
  }
}
