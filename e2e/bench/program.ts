/** Ends with a word about it where a benchmark cannot run. */
export function needRoot(): void {
  if (process.getuid?.() === 0) return;
  console.error("This needs root: network namespaces and rules.");
  process.exit(1);
}

/** Does `work` for each of a list, at most so many at the same time; answers in the list's order. */
export async function atOnce<T, R>(many: number, list: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const answers: R[] = [];
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < list.length; index = next++) answers[index] = await work(list[index]!);
  };
  await Promise.all(Array.from({ length: many }, worker));
  return answers;
}
