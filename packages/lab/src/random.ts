/** A seeded generator (xoshiro128**): the same seed gives the same packets on every machine. Not for secrets. */
export interface Random {
  u32(): number;
  /** 0 to n - 1. */
  below(n: number): number;
  between(low: number, high: number): number;
  pick<T>(list: readonly [T, ...T[]]): T;
  bytes(length: number): Uint8Array;
}

export function createRandom(seed: number): Random {
  let spread = seed | 0;
  const next = () => {
    // splitmix32 turns any seed, 0 included, into a good state.
    spread = (spread + 0x9e3779b9) | 0;
    let z = Math.imul(spread ^ (spread >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return z ^ (z >>> 15);
  };
  let [a, b, c, d] = [next(), next(), next(), next()];

  const u32 = () => {
    const product = Math.imul(b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9);
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = (d << 11) | (d >>> 21);
    return result >>> 0;
  };
  const below = (n: number) => u32() % n;
  return {
    u32,
    below,
    between: (low, high) => low + below(high - low + 1),
    pick: (list) => list[below(list.length)] ?? list[0],
    bytes(length) {
      const words = new Uint32Array((length + 3) >> 2);
      for (let i = 0; i < words.length; i += 1) words[i] = u32();
      return new Uint8Array(words.buffer, 0, length);
    },
  };
}
