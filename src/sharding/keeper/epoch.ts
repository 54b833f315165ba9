import type { ProbePhase, ProbeVerdict } from './probe.ts';

/** What the course of an epoch asks of a keeper, wherever it is. */
export interface KeeperOrders {
  probe(phase: ProbePhase): Promise<readonly Uint8Array[]>;
  turn(): Promise<void>;
  /** Its stage for those who stand by for it. */
  share(): Promise<readonly Uint8Array[]>;
  settle(keep: boolean): Promise<void>;
  /** At the last keeper: what it found, once the probe of a phase came out. */
  found(phase: ProbePhase): Promise<ProbeVerdict | null>;
}

/** What a morph is carried out with. */
export interface MorphMeans {
  readonly carry: (frame: Uint8Array) => Promise<void>;
  /** Who stands by for the stages; left out: nobody. */
  readonly standbys?: readonly Pick<KeeperOrders, 'settle'>[];
  /** Called before the first is told that the morph is kept: who is lost in between can find out that it is. */
  readonly decide?: () => Promise<void>;
}

/**
 * Morphs all stages for a next epoch, in two phases: a probe goes through them, they turn, the probe goes through them again, and where the last keeper sees
 * something else than before, or one of them fails, all that turned go back. Who stands by is told of the stage as it would be, and how that was settled; where it misses
 * that, the next that it is told of the stage says so. Whether the morph was kept. Errors: the first of a keeper.
 */
export async function morphStages(
  keepers: readonly KeeperOrders[],
  { carry, standbys = [], decide = async () => undefined }: MorphMeans,
): Promise<boolean> {
  const probed = async (phase: ProbePhase) => {
    for (const frame of await keepers[0]!.probe(phase)) await carry(frame);
    return keepers.at(-1)!.found(phase);
  };
  await probed(0);
  const turned = await Promise.allSettled(keepers.map((keeper) => keeper.turn()));
  let fits = false;
  try {
    for (const one of turned) if (one.status === 'rejected') throw one.reason;
    const shared = await Promise.all(keepers.map((keeper) => keeper.share()));
    // Whoever cannot take it makes up for it later: nobody waits for who stands by.
    await Promise.allSettled(shared.flat().map(carry));
    const same = (await probed(1)) === 'fits';
    if (same) await decide();
    fits = same;
  } finally {
    const settling = keepers.filter((_, index) => turned[index]!.status === 'fulfilled');
    await Promise.allSettled([...settling, ...standbys].map((keeper) => keeper.settle(fits)));
  }
  return fits;
}
