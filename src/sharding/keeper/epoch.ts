import type { ProbePhase, ProbeVerdict } from './probe.ts';

/** What the course of an epoch asks of a keeper, wherever it is. */
export interface KeeperOrders {
  probe(phase: ProbePhase): Promise<readonly Uint8Array[]>;
  turn(): Promise<void>;
  settle(keep: boolean): Promise<void>;
  readonly verdict: ProbeVerdict | null;
}

/**
 * Morphs all stages for a next epoch, in two phases: a probe goes through them, they turn, the probe goes through them again, and where the last keeper sees
 * something else than before, or one of them fails, all that turned go back. Whether the morph was kept. Errors: the first of a keeper.
 */
export async function morphStages(
  keepers: readonly KeeperOrders[],
  carry: (frame: Uint8Array) => Promise<void>,
): Promise<boolean> {
  const probed = async (phase: ProbePhase) => {
    for (const frame of await keepers[0]!.probe(phase)) await carry(frame);
  };
  await probed(0);
  const turned = await Promise.allSettled(keepers.map((keeper) => keeper.turn()));
  let fits = false;
  try {
    for (const one of turned) if (one.status === 'rejected') throw one.reason;
    await probed(1);
    fits = keepers.at(-1)!.verdict === 'fits';
  } finally {
    await Promise.allSettled(
      keepers.flatMap((keeper, index) =>
        turned[index]!.status === 'fulfilled' ? [keeper.settle(fits)] : [],
      ),
    );
  }
  return fits;
}
