import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type GroupEffect,
  type GroupMessage,
  type GroupState,
  newGroup,
  stepGroup,
} from '../../src/round/group.ts';
import { deepFreeze } from '../support/deep-freeze.ts';

const round = fc.integer({ min: 1, max: 4 });
const announcements = fc
  .tuple(round, fc.constantFrom(['a', 'b'], ['a'], ['b']))
  .map(([of, participants]): GroupMessage => ({ type: 'announced', round: of, participants }));
const message: fc.Arbitrary<GroupMessage> = fc.oneof(
  { weight: 8, arbitrary: announcements },
  { weight: 16, arbitrary: round.map((of): GroupMessage => ({ type: 'trained', round: of })) },
  { weight: 8, arbitrary: round.map((of): GroupMessage => ({ type: 'acknowledged', round: of })) },
  { weight: 4, arbitrary: round.map((of): GroupMessage => ({ type: 'refused', round: of, reason: 'late' })) },
  { weight: 1, arbitrary: fc.constant<GroupMessage>({ type: 'finished' }) },
);
const messages = fc.array(message, { maxLength: 60, size: 'max' });

interface Event {
  readonly before: GroupState;
  readonly message: GroupMessage;
  readonly after: GroupState;
  readonly effects: readonly GroupEffect[];
}

function historyOf(sequence: readonly GroupMessage[]): Event[] {
  let before = deepFreeze(newGroup('a'));
  return sequence.map((message) => {
    const { state: after, effects } = deepFreeze(stepGroup(before, deepFreeze(message)));
    const event = { before, message, after, effects };
    before = after;
    return event;
  });
}

const forAllHistories = (check: (events: readonly Event[]) => void): void => {
  fc.assert(
    fc.property(messages, (sequence) => check(historyOf(sequence))),
    { numRuns: 400 },
  );
};

/** Rounds of one kind of effect, in order. */
const roundsOf = (events: readonly Event[], type: GroupEffect['type']) =>
  events.flatMap(({ effects }) =>
    effects.filter((effect) => effect.type === type).map((effect) => effect.round),
  );

describe('stepGroup, over random sequences of messages', () => {
  test('the sequences reach every phase and every effect', () => {
    const events = fc.sample(messages, { numRuns: 300, seed: 1 }).flatMap(historyOf);
    const phases = new Set(events.map(({ after }) => after.phase));
    expect([...phases].sort()).toEqual(['done', 'idle', 'submitted', 'submitting', 'training']);
    expect(new Set(events.flatMap(({ effects }) => effects.map(({ type }) => type))).size).toBe(3);
  });

  test('trains at most once per round, in ascending rounds, and only when it takes part', () => {
    forAllHistories((events) => {
      const trained = roundsOf(events, 'train');
      expect(trained).toEqual([...new Set(trained)].sort((x, y) => x - y));
      for (const { message, effects } of events) {
        if (effects.some(({ type }) => type === 'train')) {
          expect(message).toMatchObject({ type: 'announced', participants: expect.arrayContaining(['a']) });
        }
      }
    });
  });

  test('submits only a round that it was told to train and has trained', () => {
    forAllHistories((events) => {
      const trained = new Set<number>();
      for (const { before, message, effects } of events) {
        if (message.type === 'trained' && before.phase === 'training' && message.round === before.round) {
          trained.add(message.round);
        }
        for (const effect of effects) {
          if (effect.type === 'submit') expect(trained).toContain(effect.round);
        }
      }
      expect(roundsOf(events, 'train')).toEqual(expect.arrayContaining([...trained]));
    });
  });

  test('gives a round up at most once, never goes back, and is silent when all is done', () => {
    forAllHistories((events) => {
      const givenUp = roundsOf(events, 'give-up');
      expect(givenUp).toEqual([...new Set(givenUp)]);
      for (const { before, after, effects } of events) {
        expect(after.round).toBeGreaterThanOrEqual(before.round);
        if (before.phase === 'done') {
          expect(after).toBe(before);
          expect(effects).toEqual([]);
        }
      }
    });
  });

  test('a state that was stored as JSON goes on as if it had not been', () => {
    fc.assert(
      fc.property(messages, fc.nat(60), (sequence, at) => {
        let state = newGroup('a');
        for (const [index, { message, effects, after }] of historyOf(sequence).entries()) {
          if (index === at) state = JSON.parse(JSON.stringify(state));
          const step = stepGroup(state, message);
          expect(step).toEqual({ state: after, effects });
          state = step.state;
        }
      }),
    );
  });
});

describe('one round of a group', () => {
  const announced: GroupMessage = { type: 'announced', round: 1, participants: ['a'] };
  const lastOf = (...sequence: readonly GroupMessage[]) => historyOf(sequence).at(-1)!;

  test('announced, trained, acknowledged', () => {
    expect(lastOf(announced)).toMatchObject({ after: { phase: 'training' }, effects: [{ type: 'train' }] });
    const trained: GroupMessage = { type: 'trained', round: 1 };
    expect(lastOf(announced, trained)).toMatchObject({
      after: { phase: 'submitting' },
      effects: [{ type: 'submit', round: 1 }],
    });
    const done = lastOf(announced, trained, { type: 'acknowledged', round: 1 });
    expect(done).toMatchObject({ after: { phase: 'submitted' }, effects: [] });
  });

  test('announced again it sends again, but while it trains it goes on training', () => {
    expect(lastOf(announced, announced).effects).toEqual([]);
    const trained: GroupMessage = { type: 'trained', round: 1 };
    const again = lastOf(announced, trained, { type: 'acknowledged', round: 1 }, announced);
    expect(again.effects).toEqual([{ type: 'submit', round: 1 }]);
  });

  test('a newer round ends the training of an older one', () => {
    const newer: GroupMessage = { type: 'announced', round: 3, participants: ['a'] };
    expect(lastOf(announced, newer).effects).toEqual([{ type: 'train', round: 3 }]);
    expect(lastOf(announced, newer, { type: 'trained', round: 1 })).toMatchObject({
      after: { phase: 'training', round: 3 },
      effects: [],
    });
  });

  test('refused, it gives the round up and waits for the next', () => {
    const refused: GroupMessage = { type: 'refused', round: 1, reason: 'wrong-round' };
    const given = lastOf(announced, { type: 'trained', round: 1 }, refused);
    expect(given).toMatchObject({
      after: { phase: 'idle', round: 1 },
      effects: [{ type: 'give-up', round: 1, reason: 'wrong-round' }],
    });
    expect(stepGroup(given.after, announced).effects).toEqual([]);
  });
});
