import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type AggregatorEffect,
  type AggregatorMessage,
  type AggregatorState,
  awaited,
  newRun,
  roundFailure,
  stepAggregator,
} from '../../src/round/aggregator.ts';
import { deepFreeze } from '../support/deep-freeze.ts';

/** Names that objects have by themselves are names that a group may have too. */
const GROUPS = ['b', 'a', 'constructor', '__proto__'];

/** A message whose round is told relative to the round under way, so that random sequences get somewhere. */
type Command = (state: AggregatorState) => AggregatorMessage;

const group = fc.constantFrom(...GROUPS);
const offset = fc.oneof(
  { weight: 8, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.constantFrom(-1, 1) },
);
const digest = fc.oneof(
  { weight: 6, arbitrary: fc.constant('x') },
  { weight: 1, arbitrary: fc.constant('y') },
);

/** A command that prints as what it is in a counterexample. */
function named(label: string, command: Command): Command {
  return Object.assign(command, { [fc.toStringMethod]: () => label });
}

const joins = group.map((who) => named(`join ${who}`, () => ({ type: 'join', group: who })));
const leaves = group.map((who) => named(`leave ${who}`, () => ({ type: 'leave', group: who })));
const starts = fc.constant(named('start', () => ({ type: 'start' })));
const submissions = fc.tuple(group, offset, digest).map(([who, ahead, name]) =>
  named(`submission ${who} ${ahead} ${name}`, ({ round }) => ({
    type: 'submission',
    group: who,
    round: round + ahead,
    digest: `${name}${round + ahead}`,
  })),
);
const deadlines = offset.map((ahead) =>
  named(`deadline ${ahead}`, ({ round }) => ({ type: 'deadline', round: round + ahead })),
);
const foldeds = offset.map((ahead) =>
  named(`folded ${ahead}`, ({ round }) => ({ type: 'folded', round: round + ahead })),
);

const commands = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: joins },
    { weight: 1, arbitrary: leaves },
    { weight: 2, arbitrary: starts },
    { weight: 14, arbitrary: submissions },
    { weight: 1, arbitrary: deadlines },
    { weight: 6, arbitrary: foldeds },
  ),
  { maxLength: 60, size: 'max' },
);
const settings = fc.record({
  rounds: fc.integer({ min: 1, max: 3 }),
  quorum: fc.integer({ min: 1, max: 3 }),
});

interface Event {
  readonly before: AggregatorState;
  readonly message: AggregatorMessage;
  readonly after: AggregatorState;
  readonly effects: readonly AggregatorEffect[];
}

/** Everything that happens in a run; states and messages are frozen, so a step that writes to them throws. */
function historyOf(options: { rounds: number; quorum: number }, sequence: readonly Command[]): Event[] {
  let before = deepFreeze(newRun(options));
  return sequence.map((command) => {
    const message = deepFreeze(command(before));
    const { state: after, effects } = deepFreeze(stepAggregator(before, message));
    const event = { before, message, after, effects };
    before = after;
    return event;
  });
}

type EffectOf<Type extends AggregatorEffect['type']> = Extract<AggregatorEffect, { type: Type }>;

function effectsOf<Type extends AggregatorEffect['type']>(
  events: readonly Event[],
  type: Type,
): EffectOf<Type>[] {
  return events.flatMap(({ effects }) =>
    effects.filter((effect): effect is EffectOf<Type> => effect.type === type),
  );
}

const isOver = ({ phase }: AggregatorState) => phase === 'finished' || phase === 'failed';

/** Checks a property of the history of random runs. */
function forAllHistories(
  check: (events: readonly Event[], options: { quorum: number; rounds: number }) => void,
): void {
  fc.assert(
    fc.property(settings, commands, (options, sequence) => check(historyOf(options, sequence), options)),
    { numRuns: 400 },
  );
}

/** A state in which these groups are being waited for. */
function collecting(groups: readonly string[], options = { rounds: 2, quorum: 1 }): AggregatorState {
  const messages: AggregatorMessage[] = [
    ...groups.map((who): AggregatorMessage => ({ type: 'join', group: who })),
    { type: 'start' },
  ];
  return messages.reduce((state, message) => stepAggregator(state, message).state, newRun(options));
}

describe('stepAggregator, over random sequences of messages', () => {
  test('the sequences reach every phase and every effect', () => {
    const runs = fc.sample(fc.tuple(settings, commands), { numRuns: 300, seed: 1 });
    const events = runs.flatMap(([options, sequence]) => historyOf(options, sequence));
    const phases = new Set(events.map(({ after }) => after.phase));
    const effects = new Set(events.flatMap((event) => event.effects.map(({ type }) => type)));
    const reasons = new Set(effectsOf(events, 'refuse').map(({ reason }) => reason));
    expect([...phases].sort()).toEqual(['collecting', 'failed', 'finished', 'folding', 'waiting']);
    expect([...effects].sort()).toEqual(['acknowledge', 'announce', 'fail', 'finish', 'fold', 'refuse']);
    expect([...reasons].sort()).toEqual([
      'changed-submission',
      'not-a-participant',
      'not-collecting',
      'wrong-round',
    ]);
  });

  test('rounds are announced and folded in order, each at most once', () => {
    forAllHistories((events, { rounds }) => {
      const announced = effectsOf(events, 'announce').map(({ round }) => round);
      const folded = effectsOf(events, 'fold').map(({ round }) => round);
      expect(announced).toEqual(announced.map((_, index) => index + 1));
      expect(folded).toEqual(announced.slice(0, folded.length));
      expect(announced.length - folded.length).toBeLessThanOrEqual(1);
      expect(announced.length).toBeLessThanOrEqual(rounds);
    });
  });

  test('a fold has a quorum of submissions, each sent in this round by a participant and acknowledged', () => {
    forAllHistories((events, { quorum }) => {
      for (const { round, submissions: folded } of effectsOf(events, 'fold')) {
        const { participants } = effectsOf(events, 'announce').find((effect) => effect.round === round)!;
        const accepted = events.flatMap(({ message, effects }) =>
          message.type === 'submission' && message.round === round && effects[0]?.type === 'acknowledge'
            ? [JSON.stringify({ group: message.group, digest: message.digest })]
            : [],
        );
        expect(folded.length).toBeGreaterThanOrEqual(quorum);
        expect(folded.map((submission) => JSON.stringify(submission)).sort()).toEqual(
          [...new Set(accepted)].sort(),
        );
        expect(new Set(folded.map((submission) => submission.group)).size).toBe(folded.length);
        expect(folded.every((submission) => participants.includes(submission.group))).toBe(true);
      }
    });
  });

  test('an acknowledged submission is in the fold of its round, if there is one', () => {
    forAllHistories((events) => {
      for (const { group: who, round } of effectsOf(events, 'acknowledge')) {
        const fold = effectsOf(events, 'fold').find((effect) => effect.round === round);
        if (fold !== undefined) expect(fold.submissions.map((submission) => submission.group)).toContain(who);
      }
    });
  });

  test('every submission gets exactly one answer', () => {
    forAllHistories((events) => {
      for (const { message, effects } of events) {
        const answers = effects.filter(({ type }) => type === 'acknowledge' || type === 'refuse');
        expect(answers).toHaveLength(message.type === 'submission' ? 1 : 0);
      }
    });
  });

  test('a repetition is acknowledged and changes nothing; a changed one, and any refused one, changes nothing', () => {
    forAllHistories((events) => {
      for (const { before, message, after, effects } of events) {
        if (message.type !== 'submission') continue;
        const earlier = Object.hasOwn(before.received, message.group)
          ? before.received[message.group]
          : undefined;
        if (message.round === before.round && earlier !== undefined) {
          const [answer] = effects;
          expect(effects).toHaveLength(1);
          expect(JSON.stringify(after)).toBe(JSON.stringify(before));
          expect(answer).toMatchObject(
            earlier === message.digest
              ? { type: 'acknowledge', repeated: true }
              : { type: 'refuse', reason: 'changed-submission' },
          );
        }
        if (effects[0]?.type === 'refuse') expect(after).toBe(before);
      }
    });
  });

  test('the groups of a round are those enrolled when it begins; a round never gains one', () => {
    forAllHistories((events) => {
      for (const { before, message, after, effects } of events) {
        const announced = effects.find((effect) => effect.type === 'announce');
        if (announced !== undefined) expect(announced.participants).toEqual(before.enrolled);
        else if (after.round === before.round) {
          expect(after.participants.filter((who) => !before.participants.includes(who))).toEqual([]);
        }
        if (message.type === 'join' && !isOver(before)) {
          expect(after).toEqual({
            ...before,
            enrolled: [...new Set([...before.enrolled, message.group])].sort(),
          });
          expect(effects).toEqual([]);
        }
      }
    });
  });

  test('after the end nothing is announced or folded, and nothing changes', () => {
    forAllHistories((events) => {
      for (const { before, message, after, effects } of events) {
        if (!isOver(before)) continue;
        expect(JSON.stringify(after)).toBe(JSON.stringify(before));
        const allowed = message.type === 'submission' ? ['acknowledge', 'refuse'] : [];
        expect(effects.filter(({ type }) => !allowed.includes(type))).toEqual([]);
        if (effects[0]?.type === 'acknowledge') expect(effects[0].repeated).toBe(true);
      }
    });
  });

  test('a deadline or a fold of another round, or in another phase, changes nothing', () => {
    forAllHistories((events) => {
      for (const { before, message, after, effects } of events) {
        if (message.type !== 'deadline' && message.type !== 'folded') continue;
        const phase = message.type === 'deadline' ? 'collecting' : 'folding';
        if (message.round === before.round && before.phase === phase) continue;
        expect(after).toBe(before);
        expect(effects).toEqual([]);
      }
    });
  });

  test('the end is told once, and a failure has a reason', () => {
    forAllHistories((events) => {
      const ends = [...effectsOf(events, 'finish'), ...effectsOf(events, 'fail')];
      expect(ends).toHaveLength(events.some(({ after }) => isOver(after)) ? 1 : 0);
      for (const { after } of events) expect(after.failure === undefined).toBe(after.phase !== 'failed');
    });
  });

  test('a state that was stored as JSON goes on as if it had not been', () => {
    fc.assert(
      fc.property(settings, commands, fc.nat(60), (options, sequence, at) => {
        const whole = historyOf(options, sequence);
        let state: AggregatorState = newRun(options);
        for (const [index, { message, effects, after }] of whole.entries()) {
          if (index === at) state = JSON.parse(JSON.stringify(state));
          const step = stepAggregator(state, message);
          expect(JSON.stringify(step.effects)).toBe(JSON.stringify(effects));
          expect(JSON.stringify(step.state)).toBe(JSON.stringify(after));
          state = step.state;
        }
      }),
    );
  });
});

describe('the order of arrival', () => {
  const shuffledSubmissions = fc.shuffledSubarray(GROUPS, { minLength: 2 });

  test('does not show in the fold, with or without a deadline (property)', () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray(GROUPS, { minLength: GROUPS.length }),
        shuffledSubmissions,
        (joined, sent) => {
          let state = collecting(joined, { rounds: 1, quorum: 2 });
          const effects: AggregatorEffect[] = [];
          const tell = (message: AggregatorMessage) => {
            const step = stepAggregator(state, message);
            state = step.state;
            effects.push(...step.effects);
          };
          for (const who of sent) tell({ type: 'submission', group: who, round: 1, digest: `of ${who}` });
          expect(awaited(state)).toEqual(
            state.phase === 'folding' ? [] : GROUPS.filter((who) => !sent.includes(who)).sort(),
          );
          tell({ type: 'deadline', round: 1 });
          expect(effects.filter(({ type }) => type === 'fold')).toEqual([
            {
              type: 'fold',
              round: 1,
              submissions: [...sent].sort().map((who) => ({ group: who, digest: `of ${who}` })),
            },
          ]);
        },
      ),
    );
  });
});

describe('single steps', () => {
  test('the fold begins with the last missing submission, not before', () => {
    const first = stepAggregator(collecting(['a', 'b']), {
      type: 'submission',
      group: 'a',
      round: 1,
      digest: 'x',
    });
    expect(first.state.phase).toBe('collecting');
    const second = stepAggregator(first.state, { type: 'submission', group: 'b', round: 1, digest: 'y' });
    expect(second.effects.map(({ type }) => type)).toEqual(['acknowledge', 'fold']);
  });

  test('a group that leaves is not waited for; what it sent stays', () => {
    const sent = stepAggregator(collecting(['a', 'b', 'c']), {
      type: 'submission',
      group: 'a',
      round: 1,
      digest: 'x',
    });
    const gone = stepAggregator(sent.state, { type: 'leave', group: 'a' });
    expect(gone.state).toMatchObject({
      enrolled: ['b', 'c'],
      participants: ['a', 'b', 'c'],
      phase: 'collecting',
    });
    const last = stepAggregator(gone.state, { type: 'submission', group: 'b', round: 1, digest: 'y' });
    expect(stepAggregator(last.state, { type: 'leave', group: 'c' })).toMatchObject({
      state: { phase: 'folding', participants: ['a', 'b'] },
      effects: [{ type: 'fold', submissions: [{ group: 'a' }, { group: 'b' }] }],
    });
  });

  test('too few groups fail the run: at the start, when they leave, at the deadline', () => {
    const options = { rounds: 1, quorum: 2 };
    const lonely = collecting(['a'], options);
    expect(lonely).toMatchObject({ phase: 'failed', failure: '1 groups are enrolled, the quorum is 2' });
    const left = stepAggregator(collecting(['a', 'b'], options), { type: 'leave', group: 'b' });
    expect(left.state).toMatchObject({ phase: 'failed', failure: expect.stringContaining('round 1') });
    const late = stepAggregator(collecting(['a', 'b'], options), { type: 'deadline', round: 1 });
    expect(late.effects).toEqual([
      { type: 'fail', round: 1, reason: expect.stringContaining('missing: a, b') },
    ]);
    expect(roundFailure('x')).toMatchObject({ code: 'ROUND_FAILED', message: 'x' });
  });

  test('a round that fails before it begins has no participants and acknowledges nothing', () => {
    let state = collecting(['a', 'b'], { rounds: 2, quorum: 2 });
    for (const who of ['a', 'b']) {
      state = stepAggregator(state, { type: 'submission', group: who, round: 1, digest: who }).state;
    }
    state = stepAggregator(state, { type: 'leave', group: 'b' }).state;
    state = stepAggregator(state, { type: 'folded', round: 1 }).state;
    expect(state).toMatchObject({ phase: 'failed', round: 2, participants: [], received: {} });
    expect(stepAggregator(state, { type: 'submission', group: 'a', round: 2, digest: 'a' }).effects).toEqual([
      { type: 'refuse', group: 'a', round: 2, reason: 'not-a-participant' },
    ]);
  });

  test('a quorum of nobody is refused', () => {
    expect(() => newRun({ rounds: 1, quorum: 0 })).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  });
});
