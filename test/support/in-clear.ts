import { asStage } from '../../src/core/brand.ts';
import { none } from '../../src/privacy/none.ts';
import type { Collection } from '../../src/privacy/protection.ts';
import { isSignedBy } from '../../src/wire/identity.ts';
import type { ProtectedUpdate, Update } from '../../src/wire/stages.ts';
import { contextOf, identityIn, SHAPE } from './protected-round.ts';

/** No protection, which has no options. */
export const IN_CLEAR = none.create({}, SHAPE);

const identity = identityIn('anybody');
const NOTHING = new Uint8Array();

/** What a group sends of an update under no protection. */
export function inClear(update: Update): ProtectedUpdate {
  const { group, round, delta } = update;
  const part = IN_CLEAR.join({
    context: contextOf(delta.length, { round }),
    group,
    identity,
    secret: NOTHING,
    heard: () => NOTHING,
    peers: { least: 1, trusts: () => true },
    verify: isSignedBy,
  });
  return asStage({ group, round, protection: IN_CLEAR.name, payload: part.answer(0, update) });
}

/** The sum of updates in clear; nothing is in it yet. */
export function sumInClear(parameters: number, round: number): Collection {
  return IN_CLEAR.collect(contextOf(parameters, { round }));
}
