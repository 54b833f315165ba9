import { expect, test } from 'vitest';
import { mask } from '../../../src/privacy/mask.ts';
import { documentedSizes } from '../../support/documented-sizes.ts';
import { contextOf, ProtectedRound, SHAPE, updateOf } from '../../support/protected-round.ts';

test('docs/protocol.md has the sizes of the messages', () => {
  const groups = 20;
  const updates = Array.from({ length: groups }, (_, index) => updateOf(`group-${index}`, 1, [0, 0, 0]));
  const round = new ProtectedRound({ protection: mask.create({}, SHAPE), updates, context: contextOf(3) });
  round.play();
  const sentIn = (step: number) => round.replies[step]!.get('group-3')!.payload.length;
  const perNeighbour = (step: number, each: number) => `${sentIn(step) - each * (groups - 1)} + ${each}`;
  expect(documentedSizes('mask')).toEqual({
    keys: `${sentIn(0)}`,
    shares: perNeighbour(1, 82),
    consistency: `${sentIn(3)}`,
    unmask: perNeighbour(4, 34),
  });
});
