import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type GroupEffect,
  type GroupMessage,
  type GroupState,
  newGroup,
  outstandingGroupEffects,
  type Place,
  stepGroup,
} from '../../src/round/group.ts';
import { deepFreeze } from '../support/deep-freeze.ts';

const place = fc.record({
  round: fc.integer({ min: 1, max: 3 }),
  attempt: fc.integer({ min: 1, max: 2 }),
  step: fc.nat(2),
});
type Placed = Extract<GroupMessage, Place>['type'];
const placed = (type: Placed) =>
  place.map((at): GroupMessage => (type === 'refused' ? { type, ...at, reason: 'late' } : { type, ...at }));
/** A message that fits what the group does, so that random sequences get somewhere. */
const message: fc.Arbitrary<GroupMessage> = fc.oneof(
  { weight: 8, arbitrary: placed('asked') },
  { weight: 24, arbitrary: placed('done') },
  { weight: 12, arbitrary: placed('acknowledged') },
  { weight: 4, arbitrary: placed('refused') },
  { weight: 1, arbitrary: place.map(({ round }): GroupMessage => ({ type: 'failed', round })) },
  { weight: 1, arbitrary: fc.constant<GroupMessage>({ type: 'finished' }) },
);
const messages = fc.array(message, { maxLength: 80, size: 'max' });

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

/** Whether one place comes after another: in a later round, a later opening of it, a later step of that. */
function isAfter(a: Place, b: Place): boolean {
  if (a.round !== b.round) return a.round > b.round;
  if (a.attempt !== b.attempt) return a.attempt > b.attempt;
  return a.step > b.step;
}

const placeOf = ({ round, attempt, step }: Place): Place => ({ round, attempt, step });

describe('stepGroup, over random sequences of messages', () => {
  test('the sequences reach every phase and every effect', () => {
    const events = fc.sample(messages, { numRuns: 300, seed: 1 }).flatMap(historyOf);
    const phases = new Set(events.map(({ after }) => after.phase));
    expect([...phases].sort()).toEqual(['finished', 'idle', 'sending', 'sent', 'working']);
    const effects = new Set(events.flatMap((event) => event.effects.map(({ type }) => type)));
    expect([...effects].sort()).toEqual(['give-up', 'send', 'work']);
  });

  test('works on what it is asked for: something newer, or what was given up', () => {
    forAllHistories((events) => {
      for (const { before, message, after, effects } of events) {
        const works = effects.some(({ type }) => type === 'work');
        if (message.type !== 'asked') {
          expect(works).toBe(false);
          continue;
        }
        const at = placeOf(message);
        const givenUp = before.phase === 'idle' && !isAfter(before, message);
        expect(works).toBe(before.phase !== 'finished' && (isAfter(message, before) || givenUp));
        if (works) {
          expect(after).toEqual({ group: 'a', phase: 'working', ...at });
          expect(effects).toEqual([{ type: 'work', ...at }]);
        }
      }
    });
  });

  test('asked in an older opening of a round it stays as it is', () => {
    let older = 0;
    forAllHistories((events) => {
      for (const { before, message, after, effects } of events) {
        if (message.type !== 'asked') continue;
        if (message.round !== before.round || message.attempt >= before.attempt) continue;
        older++;
        expect(after).toBe(before);
        expect(effects).toEqual([]);
      }
    });
    expect(older).toBeGreaterThan(100);
  });

  test('what belongs to another opening of its round changes nothing', () => {
    forAllHistories((events) => {
      for (const { before, message, after, effects } of events) {
        if (message.type === 'asked' || !('attempt' in message)) continue;
        if (message.round !== before.round || message.attempt === before.attempt) continue;
        expect(after).toBe(before);
        expect(effects).toEqual([]);
      }
    });
  });

  test('sends only the step that it works on, when that is done, or again when asked again', () => {
    forAllHistories((events) => {
      for (const { before, message, effects } of events) {
        const sends = effects.filter(({ type }) => type === 'send');
        if (sends.length === 0) continue;
        const at = placeOf(before);
        expect(sends).toEqual([{ type: 'send', ...at }]);
        expect(message).toMatchObject(at);
        if (before.phase === 'working') expect(message.type).toBe('done');
        else expect(message.type).toBe('asked');
      }
    });
  });

  test('goes back only when the round failed, and is silent when all is finished', () => {
    forAllHistories((events) => {
      for (const { before, message, after, effects } of events) {
        expect(after.round).toBeGreaterThanOrEqual(before.round);
        if (after.round === before.round) expect(after.attempt).toBeGreaterThanOrEqual(before.attempt);
        if (isAfter(before, after)) expect(message).toEqual({ type: 'failed', round: before.round });
        if (before.phase === 'finished') {
          expect(after).toBe(before);
          expect(effects).toEqual([]);
        }
      }
    });
  });

  test('gives a step up only when what it sent is refused', () => {
    forAllHistories((events) => {
      for (const { before, message, after, effects } of events) {
        const { phase, round, attempt, step } = before;
        const refused =
          message.type === 'refused' &&
          phase === 'sending' &&
          message.round === round &&
          message.attempt === attempt &&
          message.step === step;
        const givenUp = [{ type: 'give-up', round, attempt, step, reason: 'late' }];
        expect(effects.filter(({ type }) => type === 'give-up')).toEqual(refused ? givenUp : []);
        if (refused) expect(after).toEqual({ ...before, phase: 'idle' });
      }
    });
  });

  test('a stored state goes on as if it had not been, and knows what is still to be done', () => {
    fc.assert(
      fc.property(messages, fc.nat(80), (sequence, at) => {
        let state = newGroup('a');
        for (const [index, { message, effects, after }] of historyOf(sequence).entries()) {
          if (index === at) state = JSON.parse(JSON.stringify(state));
          const step = stepGroup(state, message);
          expect(step).toEqual({ state: after, effects });
          state = step.state;
          const todo = effects.filter(({ type }) => type !== 'give-up');
          if (todo.length > 0) expect(outstandingGroupEffects(state)).toEqual(todo);
        }
      }),
    );
  });
});

describe('one round of a group', () => {
  const at = { round: 1, attempt: 1, step: 0 };
  const asked: GroupMessage = { type: 'asked', ...at };
  const done: GroupMessage = { type: 'done', ...at };
  const acknowledged: GroupMessage = { type: 'acknowledged', ...at };
  const refused: GroupMessage = { type: 'refused', ...at, reason: 'wrong-step' };
  const lastOf = (...sequence: readonly GroupMessage[]) => historyOf(sequence).at(-1)!;

  test('asked, done, acknowledged, asked for the next step', () => {
    expect(lastOf(asked)).toMatchObject({ after: { phase: 'working' }, effects: [{ type: 'work', ...at }] });
    expect(lastOf(asked, done)).toMatchObject({
      after: { phase: 'sending' },
      effects: [{ type: 'send', ...at }],
    });
    expect(lastOf(asked, done, acknowledged)).toMatchObject({ after: { phase: 'sent' }, effects: [] });
    expect(lastOf(asked, done, acknowledged, { ...asked, step: 1 })).toMatchObject({
      after: { phase: 'working', ...at, step: 1 },
      effects: [{ type: 'work', ...at, step: 1 }],
    });
  });

  test('asked again it sends again, but while it works it goes on working', () => {
    expect(lastOf(asked, asked).effects).toEqual([]);
    expect(lastOf(asked, done, acknowledged, asked).effects).toEqual([{ type: 'send', ...at }]);
  });

  test('a newer round ends the work on an older one', () => {
    const newer: GroupMessage = { type: 'asked', ...at, round: 3 };
    expect(lastOf(asked, newer).effects).toEqual([{ type: 'work', ...at, round: 3 }]);
    expect(lastOf(asked, newer, done)).toMatchObject({
      after: { phase: 'working', round: 3 },
      effects: [],
    });
  });

  test('refused, it gives the step up, and works again when it is asked again', () => {
    const given = lastOf(asked, done, refused);
    expect(given).toMatchObject({
      after: { phase: 'idle', ...at },
      effects: [{ type: 'give-up', ...at, reason: 'wrong-step' }],
    });
    expect(stepGroup(given.after, asked).effects).toEqual([{ type: 'work', ...at }]);
  });

  test('when the round failed it begins again at the first step', () => {
    const second: GroupMessage = { type: 'asked', ...at, step: 1 };
    const failed = lastOf(asked, done, acknowledged, second, { type: 'failed', round: 1 });
    expect(failed.after).toEqual({ group: 'a', phase: 'idle', ...at });
    expect(stepGroup(failed.after, asked).effects).toEqual([{ type: 'work', ...at }]);
    const again: GroupMessage = { type: 'asked', ...at, attempt: 2 };
    expect(stepGroup(failed.after, again)).toEqual({
      state: { group: 'a', phase: 'working', ...at, attempt: 2 },
      effects: [{ type: 'work', ...at, attempt: 2 }],
    });
  });

  test('a round that is opened again begins anew, whatever it had of it, and never goes back', () => {
    const second: GroupMessage = { type: 'asked', ...at, step: 1 };
    const again: GroupMessage = { type: 'asked', ...at, attempt: 2 };
    for (const before of [[asked], [asked, done], [asked, done, acknowledged, second]]) {
      const opened = lastOf(...before, again);
      expect(opened.effects).toEqual([{ type: 'work', ...at, attempt: 2 }]);
      for (const late of [asked, done, acknowledged, refused, second]) {
        expect(stepGroup(opened.after, late)).toEqual({ state: opened.after, effects: [] });
      }
    }
  });

  test('what is to be done after a restart: work, send, or nothing', () => {
    const outstandingAfter = (...sequence: readonly GroupMessage[]) =>
      outstandingGroupEffects(lastOf(...sequence).after);
    expect(outstandingGroupEffects(newGroup('a'))).toEqual([]);
    expect(outstandingAfter(asked)).toEqual([{ type: 'work', ...at }]);
    expect(outstandingAfter(asked, done)).toEqual([{ type: 'send', ...at }]);
    expect(outstandingAfter(asked, done, acknowledged)).toEqual([{ type: 'send', ...at }]);
    expect(outstandingAfter(asked, done, refused)).toEqual([]);
    expect(outstandingAfter(asked, { type: 'finished' })).toEqual([]);
  });
});
