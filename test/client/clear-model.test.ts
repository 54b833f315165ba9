import { beforeAll, describe, expect, test } from 'vitest';
import { ClearModel } from '../../src/client/clear-model.ts';
import { trustIn } from '../../src/client/follow.ts';
import { asStage } from '../../src/core/brand.ts';
import { sha256 } from '../../src/core/digest.ts';
import { checkingSums } from '../../src/privacy/checked-sums.ts';
import type { SealingCollection } from '../../src/privacy/protection.ts';
import { SCALAR_WORDS } from '../../src/privacy/scalars.ts';
import { sealOptions, sealSettings } from '../../src/privacy/seal/settings.ts';
import { seal } from '../../src/privacy/seal.ts';
import { updateWords } from '../../src/privacy/secure-sum/words.ts';
import { makeModel } from '../../src/wire/model.ts';
import { recordDigest, signRecord } from '../../src/wire/model-record.ts';
import { plainSumOf, updatesOf } from '../support/exact-rounds.ts';
import { contextOf, ProtectedRound, SHAPE } from '../support/protected-round.ts';
import { withWordsAdded } from '../support/sealed-answers.ts';
import { FakeAggregator } from './fake-aggregator.ts';
import { fakeGroup } from './fake-group.ts';

/** A group that reads the model of a run from sealed sums, some of which the aggregator changed before it signed them. */

const PARAMETERS = 30;
const ROUNDS = 5;
const READERS = Buffer.from(sha256('readers'), 'hex');
const HELD = { ...SHAPE, holds: 'ciphertext' } as const;
const held = checkingSums(seal.create({ mostGroups: 8 }, HELD), { leastWeight: 1, counted: null });
const settings = sealSettings(sealOptions.parse({ mostGroups: 8 }), HELD);
const updates = updatesOf(4, PARAMETERS).map((update) => asStage({ ...update, round: 1 }));
/** The words of their sum. */
const sum = updates
  .map((update) => updateWords(update, settings, new Uint8Array(32)))
  .reduce((one, other) => one.map((word, at) => word + other[at]!));
const { totalWeight, weightedSum } = plainSumOf(updates, settings);

beforeAll(() => held.prepare());

type Change = (sealed: Uint8Array) => Uint8Array;
const adding =
  (words: Readonly<Record<number, number>>): Change =>
  (sealed) =>
    withWordsAdded(sealed, { settings, parameters: PARAMETERS }, words);

/** A run whose first round came to a sealed sum, followed by rounds that were skipped. */
function runWith(change: Change, skipped = 0) {
  const aggregator = new FakeAggregator({ parameters: PARAMETERS, rounds: ROUNDS, protection: held });
  const { digest: run, identity, records, models } = aggregator;
  const context = contextOf(PARAMETERS, { run, round: 1, model: records[0]!.model });
  const join = (setup: Parameters<typeof held.join>[0]) => held.join({ ...setup, readersKey: READERS });
  const round = new ProtectedRound({ protection: held, updates, context, join });
  for (const step of held.steps.keys()) round.playStep(step);
  // What plays a round of any protection does not know that this one publishes.
  const sealed = change((round.collection as SealingCollection).publish());
  for (let at = 1; at <= 1 + skipped; at++) {
    const previous = recordDigest(records.at(-1)!);
    const content = { run, round: at, model: sha256(sealed), previous, updates: at === 1 ? 4 : 0 };
    records.push(signRecord(identity, content));
    models.push(makeModel(at, new Float32Array(PARAMETERS)));
  }
  aggregator.tamper = ({ path }, content) => {
    const url = new URL(path, 'http://fake');
    if (!url.pathname.endsWith('/models/1/parameters')) return content;
    const [offset, length] = ['offset', 'length'].map((name) => Number(url.searchParams.get(name)));
    return sealed.slice(offset!, offset! + length!);
  };
  const group = fakeGroup(aggregator, 'ada');
  const read = () => {
    const options = { ...group.options(), readersKey: READERS };
    const trust = trustIn(options.definition, options.aggregatorKey);
    return new ClearModel(options, trust, held.sealedSums!).at(records.at(-1)!);
  };
  const warnings = () => group.events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
  return { start: models[0]!.parameters, read, warnings, store: group.store };
}

test('an unchanged sum makes the model that its updates make', async () => {
  const { start, read, warnings } = runWith((sealed) => sealed);
  const { parameters } = await read();
  expect(parameters).toEqual(start.map((value, at) => value + weightedSum[at]! / totalWeight));
  expect(warnings()).toEqual([]);
});

describe('an aggregator that adds to a sum that it cannot open', () => {
  /** What the first word of a weight counts: 256 a unit of weight, of at most 100. */
  const WEIGHT = 256;
  const tooFar = Math.ceil((1.5 * totalWeight) / settings.grid.step);
  const last = SCALAR_WORDS + PARAMETERS - 1;
  /** What comes to a number where there is another; signed. */
  const from = (place: number, to: number) => ({ [place]: to - (sum[place]! | 0) });
  const CHANGES: [string, Record<number, number>][] = [
    ['no weight is left', { ...from(0, 0), ...from(1, 0) }],
    ['hardly any weight is left', { ...from(0, 0), ...from(1, 1) }],
    ['there is less weight than four groups have', { ...from(0, 3.5 * WEIGHT), ...from(1, 0) }],
    ['there is more weight than four groups have', { ...from(0, 401 * WEIGHT), ...from(1, 0) }],
    ['the first parameter goes too far', from(SCALAR_WORDS, tooFar)],
    ['the last parameter goes too far the other way', from(last, -tooFar)],
  ];

  test.each(CHANGES)('so that %s: the model stays, and a warning says why', async (_, words) => {
    const { start, read, warnings } = runWith(adding(words));
    expect((await read()).parameters).toEqual(start);
    expect(warnings()).toEqual([
      'the sum of round 1 says what no groups can have sent, the model stays: the aggregator or a group changed it',
    ]);
  });

  test('can do what one of the groups could have', async () => {
    const { start, read, warnings } = runWith(adding({ [SCALAR_WORDS]: 100 }));
    const { parameters } = await read();
    const wanted = weightedSum.with(0, weightedSum[0]! + 100 * settings.grid.step);
    expect(parameters).toEqual(start.map((value, at) => value + wanted[at]! / totalWeight));
    expect(warnings()).toEqual([]);
  });
});

test('a round that was skipped costs no other copy of the model', async () => {
  const { read, store } = runWith((sealed) => sealed, 3);
  const first = await read();
  expect(first.round).toBe(4);
  // That of round 0, and that of round 1.
  expect(store.writes.filter((what) => what === 'clear model')).toHaveLength(2);
  expect((await read()).digest).toBe(first.digest);
  expect(store.writes.filter((what) => what === 'clear model')).toHaveLength(2);
});
