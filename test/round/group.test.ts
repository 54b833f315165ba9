import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type GroupEffect,
  type GroupMessage,
  type GroupState,
  newGroup,
  outstandingGroupEffects,
  stepGroup,
} from '../../src/round/group.ts';
import { deepFreeze } from '../support/deep-freeze.ts';

const place = fc.record({ round: fc.integer({ min: 1, max: 3 }), step: fc.nat(2) });
type Placed = Extract<GroupMessage, { step: number }>['type'];
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

/** Whether one place comes after another. */
const isAfter = (a: { round: number; step: number }, b: { round: number; step: number }) =>
  a.round > b.round || (a.round === b.round && a.step > b.step);

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
        const { round, step } = message;
        const givenUp = before.phase === 'idle' && !isAfter(before, message);
        expect(works).toBe(before.phase !== 'finished' && (isAfter(message, before) || givenUp));
        if (works) {
          expect(after).toEqual({ group: 'a', phase: 'working', round, step });
          expect(effects).toEqual([{ type: 'work', round, step }]);
        }
      }
    });
  });

  test('sends only the step that it works on, when that is done, or again when asked again', () => {
    forAllHistories((events) => {
      for (const { before, message, effects } of events) {
        const sends = effects.filter(({ type }) => type === 'send');
        if (sends.length === 0) continue;
        const { round, step } = before;
        expect(sends).toEqual([{ type: 'send', round, step }]);
        expect(message).toMatchObject({ round, step });
        if (before.phase === 'working') expect(message.type).toBe('done');
        else expect(message.type).toBe('asked');
      }
    });
  });

  test('goes back only when the round failed, and is silent when all is finished', () => {
    forAllHistories((events) => {
      for (const { before, message, after, effects } of events) {
        expect(after.round).toBeGreaterThanOrEqual(before.round);
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
        const { phase, round, step } = before;
        const refused =
          message.type === 'refused' &&
          phase === 'sending' &&
          message.round === round &&
          message.step === step;
        const givenUp = [{ type: 'give-up', round, step, reason: 'late' }];
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
  const at = { round: 1, step: 0 };
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
      after: { phase: 'working', round: 1, step: 1 },
      effects: [{ type: 'work', round: 1, step: 1 }],
    });
  });

  test('asked again it sends again, but while it works it goes on working', () => {
    expect(lastOf(asked, asked).effects).toEqual([]);
    expect(lastOf(asked, done, acknowledged, asked).effects).toEqual([{ type: 'send', ...at }]);
  });

  test('a newer round ends the work on an older one', () => {
    const newer: GroupMessage = { type: 'asked', round: 3, step: 0 };
    expect(lastOf(asked, newer).effects).toEqual([{ type: 'work', round: 3, step: 0 }]);
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
    const second: GroupMessage = { type: 'asked', round: 1, step: 1 };
    const failed = lastOf(asked, done, acknowledged, second, { type: 'failed', round: 1 });
    expect(failed.after).toEqual({ group: 'a', phase: 'idle', round: 1, step: 0 });
    expect(stepGroup(failed.after, asked).effects).toEqual([{ type: 'work', ...at }]);
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
