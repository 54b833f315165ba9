import type { ProbeVerdict } from './probe.ts';

/** What the course of an epoch asks of a keeper, wherever it is. */
export interface KeeperOrders {
  probe(phase: 0 | 1): Promise<readonly Uint8Array[]>;
  turn(): Promise<void>;
  settle(keep: boolean): Promise<void>;
  readonly verdict: ProbeVerdict | null;
}

/**
 * Morphs all stages for a next epoch, in two phases: a probe goes through them, they turn, the probe goes through them again, and where the last keeper sees
 * something else than before, all go back. Whether the morph was kept.
 */
export async function morphStages(
  keepers: readonly KeeperOrders[],
  carry: (frame: Uint8Array) => Promise<void>,
): Promise<boolean> {
  const probed = async (phase: 0 | 1) => {
    for (const frame of await keepers[0]!.probe(phase)) await carry(frame);
  };
  await probed(0);
  await Promise.all(keepers.map((keeper) => keeper.turn()));
  let fits = false;
  try {
    await probed(1);
    fits = keepers.at(-1)!.verdict === 'fits';
  } finally {
    await Promise.all(keepers.map((keeper) => keeper.settle(fits)));
  }
  return fits;
}
