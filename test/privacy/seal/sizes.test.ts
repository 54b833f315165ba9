import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SEALED_BYTES, STEP } from '../../../src/privacy/seal/messages.ts';
import { seal } from '../../../src/privacy/seal.ts';
import { ROOT } from '../../support/cli.ts';
import { documentedSizes } from '../../support/documented-sizes.ts';
import { contextOf, ProtectedRound, SHAPE, updateOf } from '../../support/protected-round.ts';

test('docs/protocol.md has the sizes of the messages', async () => {
  const protection = seal.create({}, SHAPE);
  await protection.prepare();
  const sizesOf = (groups: number) => {
    const updates = Array.from({ length: groups }, (_, index) => updateOf(`group-${index}`, 1, [0, 0, 0]));
    const round = new ProtectedRound({ protection, updates, context: contextOf(3) });
    round.play();
    return (step: number) => round.replies[step]!.get('group-1')!.payload.length;
  };
  const [three, four] = [sizesOf(3), sizesOf(4)];
  const each = four(STEP.shares) - three(STEP.shares);
  expect(documentedSizes('seal')).toEqual({
    keys: `${three(STEP.keys)}`,
    shares: `${three(STEP.shares) - 2 * each} + ${each}`,
    consistency: `${three(STEP.consistency)}`,
    open: `${three(STEP.open)}`,
  });
});

test('docs/protocol.md has the sizes of what is sent where the aggregator holds ciphertext', async () => {
  const protection = seal.create({}, { ...SHAPE, holds: 'ciphertext' });
  await protection.prepare();
  const updates = Array.from({ length: 3 }, (_, index) => updateOf(`group-${index}`, 1, [0, 0, 0]));
  const readersKey = new Uint8Array(32).fill(7);
  const round = new ProtectedRound({
    protection,
    updates,
    context: contextOf(3),
    join: (setup) => protection.join({ ...setup, readersKey }),
  });
  for (const step of protection.steps.keys()) round.playStep(step);
  const open = round.replies[STEP.open]!.get('group-1')!.payload.length;
  expect(documentedSizes('seal', ' where the aggregator holds ciphertext')).toEqual({ open: `${open}` });
  const text = readFileSync(join(ROOT, 'docs/protocol.md'), 'utf8');
  expect(text).toContain(`| ${SEALED_BYTES.toLocaleString('en-US')} an answer |`);
});
