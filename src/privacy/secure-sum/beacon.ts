import { createHash } from 'node:crypto';

/** Uniform integers below a bound, from SHA-256 of purpose, counter and beacon, read as little-endian 32-bit words. */
function drawsOf(purpose: string, beacon: string): (bound: number) => number {
  const seed = Buffer.from(beacon, 'hex');
  let block = Buffer.alloc(0);
  let blocks = 0;
  let at = 0;
  const word = (): number => {
    if (at === block.length) {
      block = createHash('sha256').update(`pluralllm-graph-v2 ${purpose} ${blocks++} `).update(seed).digest();
      at = 0;
    }
    at += 4;
    return block.readUInt32LE(at - 4);
  };
  return (bound) => {
    // Words above the last whole multiple of the bound would favour small numbers.
    const limit = 2 ** 32 - (2 ** 32 % bound);
    let drawn = word();
    while (drawn >= limit) drawn = word();
    return drawn % bound;
  };
}

/** The numbers 0..count-1 in an order that purpose and beacon alone decide (Fisher-Yates). */
export function permutationOf(count: number, purpose: string, beacon: string): Uint32Array {
  const below = drawsOf(purpose, beacon);
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = below(i + 1);
    const kept = order[i]!;
    order[i] = order[j]!;
    order[j] = kept;
  }
  return order;
}
