import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type AggregatorEffect,
  type AggregatorMessage,
  outstandingEffects,
  roundFailure,
  stepAggregator,
} from '../../src/round/aggregator.ts';
import {
  type AggregatorState,
  aggregatorStateSchema,
  awaited,
  digestFrom,
  newRun,
} from '../../src/round/aggregator-state.ts';
import type { Participation } from '../../src/wire/participation.ts';
import type { CollectionStep } from '../../src/wire/step.ts';
import { deepFreeze } from '../support/deep-freeze.ts';
import { fewestOf, STEPS, skipsFrom } from '../support/round-steps.ts';

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
const submissions = fc.tuple(group, offset, offset, digest).map(([who, ahead, further, name]) =>
  named(`submission ${who} ${ahead} ${further} ${name}`, ({ round, step }) => ({
    type: 'submission',
    group: who,
    round: round + ahead,
    step: step + further,
    digest: `${name}${round + ahead}/${step + further}`,
  })),
);
const deadlines = fc.tuple(offset, offset).map(([ahead, further]) =>
  named(`deadline ${ahead} ${further}`, ({ round, step }) => ({
    type: 'deadline',
    round: round + ahead,
    step: step + further,
  })),
);
const foldeds = offset.map((ahead) =>
  named(`folded ${ahead}`, ({ round }) => ({ type: 'folded', round: round + ahead })),
);
const unfoldables = offset.map((ahead) =>
  named(`unfoldable ${ahead}`, ({ round }) => ({ type: 'unfoldable', round: round + ahead, reason: 'NaN' })),
);
const incompletes = offset.map((ahead) =>
  named(`incomplete ${ahead}`, ({ round }) => ({ type: 'incomplete', round: round + ahead, reason: 'few' })),
);
const stops = fc.constant(named('stop', () => ({ type: 'stop' })));

const commandsWith = (unfoldable: number) =>
  fc.array(
    fc.oneof(
      { weight: 20, arbitrary: joins },
      { weight: 4, arbitrary: leaves },
      { weight: 8, arbitrary: starts },
      { weight: 96, arbitrary: submissions },
      { weight: 8, arbitrary: deadlines },
      { weight: 24, arbitrary: foldeds },
      { weight: unfoldable, arbitrary: unfoldables },
      { weight: unfoldable, arbitrary: incompletes },
      { weight: 1, arbitrary: stops },
    ),
    { maxLength: 120, size: 'max' },
  );
const commands = commandsWith(1);
const settings = fc.record({
  rounds: fc.integer({ min: 1, max: 3 }),
  quorum: fc.integer({ min: 1, max: 3 }),
  steps: fc.constantFrom(...Object.values(STEPS)),
  participation: fc.option(
    fc.record({
      seed: fc.nat(),
      share: fc.constantFrom(0.2, 0.5, 0.75, 1),
      begin: fc.integer({ min: 1, max: 4 }),
    }),
  ),
});

interface Settings {
  readonly rounds: number;
  readonly quorum: number;
  readonly steps: readonly CollectionStep[];
  readonly participation?: Participation | null;
}

interface Event {
  readonly before: AggregatorState;
  readonly message: AggregatorMessage;
  readonly after: AggregatorState;
  readonly effects: readonly AggregatorEffect[];
}

/** Everything that happens in a run; states and messages are frozen, so a step that writes to them throws. */
function historyOf(options: Settings, sequence: readonly Command[]): Event[] {
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

/** Checks a property of the history of random runs. */
function forAllHistories(
  check: (events: readonly Event[], options: Settings) => void,
  begin: (options: Settings) => readonly Command[] = () => [],
  sequences = commands,
): void {
  fc.assert(
    fc.property(settings, sequences, (options, sequence) =>
      check(historyOf(options, [...begin(options), ...sequence]), options),
    ),
    { numRuns: 400 },
  );
}

/** Commands that bring a run to the last step of its first round. */
function untilLastStep({ steps }: Settings): Command[] {
  const all = (message: (who: string, state: AggregatorState) => AggregatorMessage) =>
    GROUPS.map(
      (who): Command =>
        (state) =>
          message(who, state),
    );
  const sent = steps.slice(1).flatMap(() => all((who, { step }) => sends(who, step)));
  // The reply that completes a step has begun the next.
  return [...all((group) => ({ type: 'join', group })), () => ({ type: 'start' }), ...sent];
}

/** Plays messages one after another. */
function play(state: AggregatorState, ...messages: readonly AggregatorMessage[]) {
  const effects: AggregatorEffect[] = [];
  let now = state;
  for (const message of messages) {
    const step = stepAggregator(now, message);
    now = step.state;
    effects.push(...step.effects);
  }
  return { state: now, effects };
}

/** A state in which these groups are being waited for. */
function collecting(groups: readonly string[], options: Partial<Settings> = {}): AggregatorState {
  const joined = groups.map((who): AggregatorMessage => ({ type: 'join', group: who }));
  const run = newRun({ rounds: 2, quorum: 1, steps: STEPS[1], ...options });
  return play(run, ...joined, { type: 'start' }).state;
}

/** A last step that waits for two thirds. */
const PATIENT: readonly CollectionStep[] = [
  ...STEPS[1],
  { name: 'last', from: 'survivors', least: 'two-thirds', patient: true },
];

/** What a group sends in a step of round 1. */
const sends = (who: string, step = 0, name = `of ${who}`): AggregatorMessage => ({
  type: 'submission',
  group: who,
  round: 1,
  step,
  digest: name,
});

/** Phases that nothing leads out of. */
const ENDED: ReadonlySet<string> = new Set(['finished', 'stopped']);

describe('stepAggregator, over random sequences of messages', () => {
  test('the sequences reach every phase and every effect', () => {
    const runs = fc.sample(fc.tuple(settings, commands), { numRuns: 300, seed: 1 });
    const events = runs.flatMap(([options, sequence]) => historyOf(options, sequence));
    const phases = new Set(events.map(({ after }) => after.phase));
    const effects = new Set(events.flatMap((event) => event.effects.map(({ type }) => type)));
    const reasons = new Set(effectsOf(events, 'refuse').map(({ reason }) => reason));
    const summed = events.filter(({ after }) => !after.skipped);
    const folded = new Set(effectsOf(summed, 'fold').map(({ replies }) => replies.length));
    expect([...phases].sort()).toEqual(['collecting', 'failed', 'finished', 'folding', 'stopped', 'waiting']);
    expect([...effects].sort()).toEqual(['acknowledge', 'ask', 'fail', 'finish', 'fold', 'refuse']);
    expect([...reasons].sort()).toEqual([
      'changed-submission',
      'not-asked',
      'not-collecting',
      'wrong-round',
      'wrong-step',
    ]);
    expect([...folded].sort()).toEqual([1, 2, 5]);
    expect(
      events.some(({ before, after }) => before.phase === 'failed' && after.phase === 'collecting'),
    ).toBe(true);
    // A round is skipped, and the run goes on behind it.
    expect(events.some(({ before, after }) => before.skipped && after.phase === 'collecting')).toBe(true);
    expect(events.some(({ before, after }) => before.skipped && after.phase === 'finished')).toBe(true);
  });

  test('steps come in order; only a failed round begins again; each is folded once, unless it makes no model, after all its steps', () => {
    forAllHistories((events, { rounds, steps }) => {
      for (const { before, message, effects } of events) {
        const ask = effects.find((effect) => effect.type === 'ask');
        if (ask === undefined) continue;
        const { round, step, phase } = before;
        if (message.type === 'incomplete') {
          expect([phase, ask.round, ask.step]).toEqual(['folding', round, step]);
          continue;
        }
        const next =
          phase === 'collecting'
            ? { round, step: step + 1 }
            : { round: phase === 'failed' ? round : round + 1, step: 0 };
        expect({ round: ask.round, step: ask.step }).toEqual(next);
        expect(ask.step).toBeLessThan(steps.length);
        expect(ask.round).toBeLessThanOrEqual(rounds);
      }
      const folds = effectsOf(events, 'fold');
      const folded = [...new Set(folds.map(({ round }) => round))];
      expect(folded).toEqual(folded.map((_, index) => index + 1));
      const unfoldable = events.filter(
        ({ before, message }) =>
          (message.type === 'unfoldable' || message.type === 'incomplete') && before.phase === 'folding',
      );
      expect(folds.length - folded.length).toBeLessThanOrEqual(unfoldable.length);
      const summed = effectsOf(
        events.filter(({ after }) => !after.skipped),
        'fold',
      );
      for (const { replies } of summed) expect(replies).toHaveLength(steps.length);
    });
  });

  test('the first opening of a round is its first attempt, and each further one is one more', () => {
    let reopened = 0;
    forAllHistories((events) => {
      let attempt = 0;
      for (const { before, message, after, effects } of events) {
        const opens = message.type === 'start' && before.phase === 'failed' && !after.skipped;
        // What does not open a round leaves the count as it is; a round that cannot begin counts, too.
        if (after.round !== before.round) attempt = 1;
        else if (opens) attempt++;
        expect(after.attempt).toBe(after.round === 0 ? 1 : attempt);
        if (opens) {
          reopened++;
          expect(after.attempt).toBe(before.attempt + 1);
        }
        const ask = effects.find((effect) => effect.type === 'ask');
        if (ask !== undefined) expect(ask.attempt).toBe(attempt);
      }
    });
    expect(reopened).toBeGreaterThan(100);
  });

  test('a fold lists, by step, enough replies, which were acknowledged since the round was opened', () => {
    forAllHistories((events, { quorum, steps }) => {
      let accepted: { group: string; digest: string }[][] = [];
      for (const { message, after, effects } of events) {
        const [answer] = effects;
        if (message.type === 'submission' && answer?.type === 'acknowledge' && !answer.repeated) {
          accepted[message.step]?.push({ group: message.group, digest: message.digest });
        }
        for (const effect of effects) {
          if (effect.type === 'ask') accepted = [...accepted.slice(0, effect.step), []];
          if (effect.type !== 'fold') continue;
          const inOrder = accepted.map((list) => [...list].sort((x, y) => (x.group < y.group ? -1 : 1)));
          expect(effect.replies).toEqual(inOrder);
          for (const [step, list] of effect.replies.entries()) {
            const fewest = fewestOf(steps[step]!, quorum, effect.replies[0]!.length);
            // Of a round that is skipped nothing is added up.
            if (!after.skipped) expect(list.length).toBeGreaterThanOrEqual(fewest);
            expect(new Set(list.map((reply) => reply.group)).size).toBe(list.length);
          }
        }
      }
    });
  });

  test('a step asks the groups of the round, or those that replied before; never one that left', () => {
    forAllHistories((events, { quorum, steps }) => {
      for (const { after, effects } of events) {
        const ask = effects.find((effect) => effect.type === 'ask');
        if (ask === undefined) continue;
        const { from } = steps[ask.step]!;
        const replied = (after.replies[ask.step - 1] ?? []).map((reply) => reply.group);
        const candidates = from === 'survivors' && ask.step > 0 ? replied : after.participants;
        expect(ask.from).toEqual(candidates.filter((who) => after.enrolled.includes(who)));
        const fewest = fewestOf(steps[ask.step]!, quorum, after.replies[0]!.length);
        expect(ask.from.length).toBeGreaterThanOrEqual(fewest);
        expect(awaited(after)).toEqual(ask.from);
      }
    });
  });

  test('every submission gets exactly one answer, which names it', () => {
    forAllHistories((events) => {
      for (const { message, effects } of events) {
        const answers = effects.filter(({ type }) => type === 'acknowledge' || type === 'refuse');
        if (message.type !== 'submission') {
          expect(answers).toEqual([]);
          continue;
        }
        const { group: who, round, step } = message;
        expect(answers).toEqual([expect.objectContaining({ group: who, round, step })]);
      }
    });
  });

  test('a first submission is accepted if its group is asked for it now, and only then', () => {
    forAllHistories((events) => {
      for (const { before, message, effects } of events) {
        if (message.type !== 'submission') continue;
        const [answer] = effects;
        const fits =
          before.phase === 'collecting' &&
          message.round === before.round &&
          message.step === before.step &&
          awaited(before).includes(message.group);
        expect(answer?.type === 'acknowledge' && !answer.repeated).toBe(fits);
      }
    });
  });

  test('a repetition is acknowledged and changes nothing; a changed one, and any refused one, changes nothing', () => {
    forAllHistories((events) => {
      for (const { before, message, after, effects } of events) {
        if (message.type !== 'submission') continue;
        const earlier = digestFrom(before, message.step, message.group);
        if (message.round === before.round && earlier !== undefined) {
          expect(effects).toHaveLength(1);
          expect(after).toBe(before);
          expect(effects[0]).toMatchObject(
            earlier === message.digest
              ? { type: 'acknowledge', repeated: true }
              : { type: 'refuse', reason: 'changed-submission' },
          );
        }
        if (effects[0]?.type === 'refuse') expect(after).toBe(before);
      }
    });
  });

  test('a round never gains a group, and what was accepted stays until the round is over or opened again', () => {
    forAllHistories((events, { quorum, participation = null }) => {
      for (const { before, message, after, effects } of events) {
        const opens = effects.some((effect) => effect.type === 'ask' && effect.step === 0);
        if (opens) {
          const { enrolled } = before;
          const asked = Math.max(quorum, Math.ceil((participation?.share ?? 1) * enrolled.length));
          expect(after.participants).toEqual(enrolled.filter((who) => after.participants.includes(who)));
          expect(after.participants).toHaveLength(Math.min(enrolled.length, asked));
        } else if (after.round === before.round && message.type !== 'start') {
          expect(after.participants).toEqual(before.participants);
          for (const [step, list] of before.replies.entries()) {
            expect(after.replies[step]).toEqual(expect.arrayContaining([...list]));
          }
        }
        if (message.type === 'join' && !ENDED.has(before.phase)) {
          const enrolled = [...new Set([...before.enrolled, message.group])].sort();
          expect(after).toEqual({ ...before, enrolled });
          expect(effects).toEqual([]);
        }
      }
    });
  });

  test('when it is finished or stopped nothing is asked or folded, and nothing changes', () => {
    forAllHistories((events) => {
      for (const { before, message, after, effects } of events) {
        if (!ENDED.has(before.phase)) continue;
        expect(after).toBe(before);
        const allowed = message.type === 'submission' ? ['acknowledge', 'refuse'] : [];
        expect(effects.filter(({ type }) => !allowed.includes(type))).toEqual([]);
      }
    });
  });

  test('a round that makes no model has failed, and only the one that is being folded', () => {
    forAllHistories((events) => {
      for (const { before, message, after, effects } of events) {
        if (message.type !== 'unfoldable') continue;
        if (before.phase === 'folding' && message.round === before.round) {
          expect(after).toEqual({ ...before, phase: 'failed', failure: 'NaN' });
          expect(effects).toEqual([{ type: 'fail', round: before.round, reason: 'NaN' }]);
        } else expect(after).toBe(before);
      }
    });
  });

  test('a round whose sum lacks something waits for those who have not replied, and has failed where nobody is left', () => {
    forAllHistories((events) => {
      for (const { before, message, after, effects } of events) {
        if (message.type !== 'incomplete') continue;
        const { round, step, asked, replies, enrolled } = before;
        if (before.phase !== 'folding' || message.round !== round) {
          expect(after).toBe(before);
          continue;
        }
        const replied = replies[step]!.map(({ group: who }) => who);
        const left = asked.filter((who) => replied.includes(who) || enrolled.includes(who));
        const patient = before.steps[step]!.patient === true && !before.skipped;
        const waits = patient && left.length > replied.length;
        if (waits) expect(after).toEqual({ ...before, phase: 'collecting', asked: left });
        else expect(after).toEqual({ ...before, phase: 'failed', failure: 'few' });
        expect(effects.map(({ type }) => type)).toEqual([waits ? 'ask' : 'fail']);
      }
    });
  });

  test('stop ends a run from any phase, with the rounds that were begun', () => {
    forAllHistories((events) => {
      for (const { before, message, after, effects } of events) {
        if (message.type !== 'stop' || ENDED.has(before.phase)) continue;
        expect(after).toEqual({ ...before, phase: 'stopped', failure: null });
        expect(effects).toEqual([{ type: 'finish', rounds: before.round }]);
      }
    });
  });

  test('a failed run does nothing until it is started again', () => {
    forAllHistories((events) => {
      for (const { before, message, after, effects } of events) {
        if (before.phase !== 'failed') continue;
        if (message.type === 'start') {
          const opened = before.enrolled.length < before.quorum ? 'failed' : 'collecting';
          expect(after.phase).toBe(after.skipped ? 'folding' : opened);
          expect(after.round).toBe(before.round);
          continue;
        }
        if (message.type === 'stop') continue;
        expect(after).toEqual({ ...before, enrolled: after.enrolled });
        if (message.type !== 'submission') expect(effects).toEqual([]);
      }
    });
  });

  test('a deadline or a fold of another round or step, or in another phase, changes nothing', () => {
    forAllHistories((events) => {
      for (const { before, message, after, effects } of events) {
        if (message.type !== 'deadline' && message.type !== 'folded') continue;
        const phase = message.type === 'deadline' ? 'collecting' : 'folding';
        const here = message.type === 'folded' || message.step === before.step;
        if (message.round === before.round && before.phase === phase && here) continue;
        expect(after).toBe(before);
        expect(effects).toEqual([]);
      }
    });
  });

  test('a round is skipped where it is started again after a step began that groups reply to once, and nowhere else', () => {
    let skips = 0;
    const check = (events: readonly Event[], { steps }: Settings) => {
      for (const { before, message, after, effects } of events) {
        const again = message.type === 'start' && before.phase === 'failed';
        if (again && skipsFrom(steps, before.step)) {
          skips++;
          const { round, replies } = before;
          expect(after).toEqual({ ...before, phase: 'folding', failure: null, skipped: true });
          expect(effects).toEqual([{ type: 'fold', round, replies }]);
        } else expect(after.skipped && after.round !== before.round).toBe(false);
        if (after.skipped) {
          expect(steps.length).toBeGreaterThan(1);
          expect(['folding', 'failed', 'finished', 'stopped']).toContain(after.phase);
        }
        expect(!before.skipped && after.skipped && !again).toBe(false);
      }
    };
    forAllHistories(check);
    forAllHistories(check, untilLastStep, commandsWith(24));
    expect(skips).toBeGreaterThan(20);
  });

  test('when a step was asked for that groups reply to once, no step of that round is asked for again but those behind it', () => {
    forAllHistories((events, { steps }) => {
      const asked = effectsOf(events, 'ask');
      const last = new Map<number, number>();
      for (const [index, { round, step }] of asked.entries()) {
        if (skipsFrom(steps, step) && !last.has(round)) last.set(round, index);
      }
      for (const [round, index] of last) {
        const { attempt, step } = asked[index]!;
        for (const ask of asked.slice(index + 1).filter((later) => later.round === round)) {
          expect(ask.attempt).toBe(attempt);
          expect(ask.step).toBeGreaterThan(step);
        }
      }
    });
  });

  test('a deadline ends a step: with enough replies the next begins, without them the run fails, or waits where it is patient', () => {
    forAllHistories((events, { quorum, steps }) => {
      for (const { before, message, after, effects } of events) {
        if (message.type !== 'deadline' || before.phase !== 'collecting') continue;
        if (message.round !== before.round || message.step !== before.step) continue;
        const first = before.step === 0 ? 0 : before.replies[0]!.length;
        const fewest = fewestOf(steps[before.step]!, quorum, first);
        const tooFew = before.replies[before.step]!.length < fewest;
        if (tooFew && steps[before.step]!.patient === true) {
          expect(after).toBe(before);
          expect(effects).toEqual([]);
        } else if (tooFew) expect(after.phase).toBe('failed');
        else if (after.phase !== 'failed') {
          expect(after.phase === 'folding' || after.step === before.step + 1).toBe(true);
        }
      }
    });
  });

  test('the end is told, and a failure has a reason', () => {
    forAllHistories((events) => {
      expect(effectsOf(events, 'finish').length).toBe(
        events.some(({ after }) => ENDED.has(after.phase)) ? 1 : 0,
      );
      for (const { before, message, after, effects } of events) {
        expect(after.failure === null).toBe(after.phase !== 'failed');
        const fails = after.phase === 'failed' && (before.phase !== 'failed' || message.type === 'start');
        const told = fails ? [{ type: 'fail', round: after.round, reason: after.failure }] : [];
        expect(effects.filter(({ type }) => type === 'fail')).toEqual(told);
      }
    });
  });

  test('a stored state goes on as if it had not been, and knows what is still to be done', () => {
    fc.assert(
      fc.property(settings, commands, fc.nat(120), (options, sequence, at) => {
        let state: AggregatorState = newRun(options);
        for (const [index, { message, effects, after }] of historyOf(options, sequence).entries()) {
          if (index === at) state = aggregatorStateSchema.parse(JSON.parse(JSON.stringify(state)));
          const step = stepAggregator(state, message);
          expect(step).toEqual({ state: after, effects });
          state = step.state;
          const todo = effects.filter(({ type }) => type !== 'acknowledge' && type !== 'refuse');
          if (todo.length > 0) expect(outstandingEffects(state)).toEqual(todo);
        }
      }),
    );
  });
});

describe('the order of arrival', () => {
  test.each(Object.entries(STEPS))(
    'does not show in state or fold, with or without deadlines and dropouts (%s steps, property)',
    (_, steps) => {
      const everyone = { minLength: GROUPS.length };
      const sentPerStep = fc.tuple(...steps.map(() => fc.shuffledSubarray(GROUPS, { minLength: 3 })));
      fc.assert(
        fc.property(fc.shuffledSubarray(GROUPS, everyone), sentPerStep, (joined, sentBy) => {
          const messagesIn = (order: (who: readonly string[]) => readonly string[]) =>
            sentBy.flatMap((sent, step): AggregatorMessage[] => [
              ...order(sent).map((who) => sends(who, step)),
              { type: 'deadline', round: 1, step },
            ]);
          const options = { rounds: 1, quorum: 1, steps };
          const given = play(collecting(joined, options), ...messagesIn((sent) => sent));
          const sorted = play(collecting(GROUPS, options), ...messagesIn((sent) => [...sent].sort()));
          expect(given.state).toEqual(sorted.state);
          const survivors: string[][] = [];
          for (const [step, { from }] of steps.entries()) {
            const before = from === 'survivors' ? (survivors.at(-1) ?? GROUPS) : GROUPS;
            survivors.push(before.filter((who) => sentBy[step]!.includes(who)).sort());
          }
          const enough = survivors.every(
            ({ length }, step) => length >= fewestOf(steps[step]!, 1, step === 0 ? 0 : survivors[0]!.length),
          );
          expect(given.effects.filter(({ type }) => type === 'fold')).toEqual(
            enough
              ? [
                  {
                    type: 'fold',
                    round: 1,
                    replies: survivors.map((list) =>
                      list.map((who) => ({ group: who, digest: `of ${who}` })),
                    ),
                  },
                ]
              : [],
          );
        }),
      );
    },
  );
});

describe('single steps', () => {
  test('the fold begins with the last missing submission, not before', () => {
    const first = play(collecting(['a', 'b']), sends('a'));
    expect(first.state.phase).toBe('collecting');
    const second = play(first.state, sends('b'));
    expect(second.effects.map(({ type }) => type)).toEqual(['acknowledge', 'fold']);
  });

  test('who drops out of a step is not among its survivors, but may be asked as a participant', () => {
    const kinds: readonly CollectionStep[] = [
      { name: 'keys', from: 'participants', least: 'quorum' },
      { name: 'upload', from: 'survivors', least: 'quorum' },
      { name: 'shares', from: 'participants', least: 'quorum' },
    ];
    const { effects } = play(
      collecting(['a', 'b', 'c'], { quorum: 2, steps: kinds }),
      ...[sends('a'), sends('b'), { type: 'deadline', round: 1, step: 0 } as const],
      ...[sends('c', 1), sends('a', 1), sends('b', 1)],
    );
    expect(effects.filter(({ type }) => type === 'ask' || type === 'refuse')).toEqual([
      { type: 'ask', round: 1, attempt: 1, step: 1, from: ['a', 'b'] },
      { type: 'refuse', group: 'c', round: 1, step: 1, reason: 'not-asked' },
      { type: 'ask', round: 1, attempt: 1, step: 2, from: ['a', 'b', 'c'] },
    ]);
  });

  test('a group that leaves is not waited for, nor asked again; what it sent stays', () => {
    const gone = play(collecting(['a', 'b', 'c'], { steps: STEPS[2] }), sends('a'), {
      type: 'leave',
      group: 'a',
    });
    expect(gone.state).toMatchObject({ enrolled: ['b', 'c'], asked: ['a', 'b', 'c'], phase: 'collecting' });
    const next = play(gone.state, sends('b'), { type: 'leave', group: 'c' });
    expect(next.effects.at(-1)).toEqual({ type: 'ask', round: 1, attempt: 1, step: 1, from: ['b'] });
    expect(play(next.state, sends('b', 1)).effects.at(-1)).toMatchObject({
      type: 'fold',
      replies: [[{ group: 'a' }, { group: 'b' }], [{ group: 'b' }]],
    });
  });

  test('too few groups fail the run: at the start, when they leave, at the deadline, between steps', () => {
    const options = { rounds: 1, quorum: 2 };
    const lonely = collecting(['a'], options);
    expect(lonely).toMatchObject({ phase: 'failed', failure: '1 groups are enrolled, the quorum is 2' });
    const left = play(collecting(['a', 'b'], options), { type: 'leave', group: 'b' });
    expect(left.state).toMatchObject({ phase: 'failed', failure: expect.stringContaining('round 1') });
    const late = play(collecting(['a', 'b'], options), { type: 'deadline', round: 1, step: 0 });
    expect(late.effects).toEqual([
      { type: 'fail', round: 1, reason: expect.stringContaining('missing: a, b') },
    ]);
    const between = play(
      collecting(['a', 'b'], { ...options, steps: STEPS[2] }),
      ...[sends('a'), { type: 'leave', group: 'a' } as const, sends('b')],
    );
    expect(between.state).toMatchObject({
      phase: 'failed',
      failure: '1 groups are left for step "shares" of round 1, 2 are needed',
    });
    expect(roundFailure('x')).toMatchObject({ code: 'ROUND_FAILED', message: 'x' });
  });

  test.each<[CollectionStep['least'], needed: number]>([
    ['quorum', 3],
    ['two-thirds', 5],
    ['both', 5],
    ['any', 1],
  ])('of six groups with a quorum of three, a second step that needs %s needs %i', (least, needed) => {
    const all = [...'abcdef'];
    const kinds: readonly CollectionStep[] = [...STEPS[1], { name: 'second', from: 'survivors', least }];
    const second = play(
      collecting(all, { quorum: 3, steps: kinds }),
      ...all.map((who) => sends(who)),
      ...all.slice(0, needed - 1).map((who) => sends(who, 1)),
    ).state;
    const late: AggregatorMessage = { type: 'deadline', round: 1, step: 1 };
    expect(play(second, late).state).toMatchObject({
      phase: 'failed',
      failure: expect.stringContaining(`${needed - 1} of ${needed} needed`),
    });
    expect(play(second, sends('f', 1), late).state.phase).toBe('folding');
  });

  test('two thirds are of those who replied to the first step, and never fewer than the quorum where both count', () => {
    const all = [...'abcdef'];
    const kinds: readonly CollectionStep[] = [
      ...STEPS[1],
      { name: 'second', from: 'survivors', least: 'both' },
    ];
    const afterFirst = (quorum: number, replying: readonly string[]) =>
      play(
        collecting(all, { quorum, steps: kinds }),
        ...replying.map((who) => sends(who)),
        { type: 'deadline', round: 1, step: 0 },
        ...[sends('a', 1), sends('b', 1), sends('c', 1)],
        { type: 'deadline', round: 1, step: 1 },
      ).state.phase;
    // Of four more than two thirds are three.
    expect(afterFirst(1, [...'abcd'])).toBe('folding');
    expect(afterFirst(1, [...'abcde'])).toBe('failed');
    expect(afterFirst(3, [...'abc'])).toBe('folding');
    expect(afterFirst(4, [...'abcd'])).toBe('failed');
  });

  test('a group that leaves a later step fails it where two thirds are not left', () => {
    const all = ['a', 'b', 'c'];
    const kinds: readonly CollectionStep[] = [
      ...STEPS[1],
      { name: 'second', from: 'survivors', least: 'two-thirds' },
      { name: 'third', from: 'survivors', least: 'any' },
    ];
    const second = play(collecting(all, { quorum: 1, steps: kinds }), ...all.map((who) => sends(who))).state;
    expect(play(second, { type: 'leave', group: 'a' }).state.phase).toBe('failed');
    const third = play(second, ...all.map((who) => sends(who, 1))).state;
    const lonely = play(third, { type: 'leave', group: 'a' }, { type: 'leave', group: 'b' }).state;
    expect(lonely).toMatchObject({ phase: 'collecting', step: 2, asked: ['c'] });
    expect(play(lonely, sends('c', 2)).state.phase).toBe('folding');
  });

  test('a patient step waits beyond its deadline for as many as it needs, and for no more', () => {
    const all = [...'abcd'];
    const late: AggregatorMessage = { type: 'deadline', round: 1, step: 1 };
    const second = play(
      collecting(all, { steps: PATIENT }),
      ...all.map((who) => sends(who)),
      ...[sends('a', 1), sends('b', 1), late, late],
    );
    expect(second.state).toMatchObject({ phase: 'collecting', step: 1, asked: all });
    expect(awaited(second.state)).toEqual(['c', 'd']);
    expect(second.effects.filter(({ type }) => type === 'fail' || type === 'fold')).toEqual([]);
    // The third of the four is enough; whoever has a clock says again that it is late.
    const enough = play(second.state, sends('c', 1));
    expect(enough.effects.map(({ type }) => type)).toEqual(['acknowledge']);
    expect(play(enough.state, late).effects).toMatchObject([{ type: 'fold', round: 1 }]);
    expect(play(enough.state, sends('d', 1)).effects.at(-1)).toMatchObject({ type: 'fold', round: 1 });
  });

  test('a patient step is given up where so many leave that it cannot come to its end', () => {
    const all = [...'abcd'];
    const second = play(
      collecting(all, { steps: PATIENT }),
      ...all.map((who) => sends(who)),
      ...[sends('a', 1), { type: 'leave', group: 'c' } as const],
    ).state;
    expect(second).toMatchObject({ phase: 'collecting', asked: ['a', 'b', 'd'] });
    const failed = play(second, { type: 'leave', group: 'd' });
    expect(failed.state).toMatchObject({
      phase: 'failed',
      failure: '2 groups are left in round 1, 3 are needed',
    });
  });

  /** A run that failed in its last step of two. */
  const failedAtLast = (rounds: number) =>
    play(
      collecting(['a', 'b', 'c'], { rounds, steps: STEPS[2], quorum: 2 }),
      ...['a', 'b', 'c'].map((who) => sends(who)),
      ...[sends('a', 1), { type: 'deadline', round: 1, step: 1 } as const],
    ).state;

  test('a run that failed in its last step of several skips the round, and goes on with the next', () => {
    const failed = failedAtLast(2);
    expect(failed).toMatchObject({ phase: 'failed', step: 1, skipped: false });
    const skipped = play(failed, { type: 'start' });
    expect(skipped.state).toEqual({ ...failed, phase: 'folding', failure: null, skipped: true });
    expect(skipped.effects).toEqual([{ type: 'fold', round: 1, replies: failed.replies }]);
    expect(outstandingEffects(skipped.state)).toEqual(skipped.effects);
    // Late replies are refused, and what was accepted is acknowledged again.
    expect(play(skipped.state, sends('b', 1), sends('a', 1)).effects).toMatchObject([
      { type: 'refuse', reason: 'not-collecting' },
      { type: 'acknowledge', repeated: true },
    ]);
    expect(play(skipped.state, { type: 'start' }).state).toBe(skipped.state);
    const next = play(skipped.state, { type: 'leave', group: 'c' }, { type: 'folded', round: 1 });
    expect(next.state).toMatchObject({ phase: 'collecting', round: 2, attempt: 1, step: 0, skipped: false });
    expect(next.effects).toEqual([{ type: 'ask', round: 2, attempt: 1, step: 0, from: ['a', 'b'] }]);
  });

  test('skips also a round that makes no model, and the last one, and again where that fails', () => {
    const all = ['a', 'b', 'c'];
    const folding = play(
      collecting(all, { rounds: 1, steps: STEPS[2], quorum: 2 }),
      ...all.map((who) => sends(who)),
      ...all.map((who) => sends(who, 1)),
    ).state;
    const hopeless = { type: 'unfoldable', round: 1, reason: 'wrong shares' } as const;
    const skipped = play(folding, hopeless, { type: 'start' }).state;
    expect(skipped).toMatchObject({ phase: 'folding', skipped: true, replies: folding.replies });
    expect(play(skipped, hopeless, { type: 'start' }).state).toEqual(skipped);
    expect(play(skipped, { type: 'folded', round: 1 }).effects).toEqual([{ type: 'finish', rounds: 1 }]);
    expect(play(skipped, { type: 'stop' }).effects).toEqual([{ type: 'finish', rounds: 1 }]);
  });

  test('opens a round again that failed on the way to its last step: nobody was asked for what opens the sum', () => {
    const all = ['a', 'b', 'c'];
    const { state } = play(
      collecting(all, { steps: STEPS[2], quorum: 2 }),
      ...[sends('a'), sends('b'), { type: 'leave', group: 'a' } as const],
      ...[{ type: 'leave', group: 'b' } as const, sends('c')],
    );
    expect(state).toMatchObject({ phase: 'failed', step: 0 });
    expect(play(state, { type: 'join', group: 'a' }, { type: 'start' }).state).toMatchObject({
      phase: 'collecting',
      round: 1,
      attempt: 2,
      skipped: false,
    });
  });

  test('opens the round again whose first step could not begin after one was skipped', () => {
    const skipped = play(failedAtLast(2), { type: 'start' }).state;
    const few = play(skipped, ...['b', 'c'].map((group) => ({ type: 'leave', group }) as const), {
      type: 'folded',
      round: 1,
    } as const).state;
    expect(few).toMatchObject({ phase: 'failed', round: 2, step: 0, skipped: false });
    const again = play(few, { type: 'join', group: 'b' }, { type: 'start' });
    expect(again.effects).toEqual([{ type: 'ask', round: 2, attempt: 2, step: 0, from: ['a', 'b'] }]);
  });

  test('a failed round is opened again with the groups enrolled then, and forgets what it had', () => {
    const late = play(collecting(['a', 'b'], { quorum: 2 }), sends('a'), {
      type: 'deadline',
      round: 1,
      step: 0,
    });
    const again = play(
      late.state,
      { type: 'leave', group: 'b' },
      { type: 'join', group: 'c' },
      { type: 'start' },
    );
    expect(again.effects).toEqual([{ type: 'ask', round: 1, attempt: 2, step: 0, from: ['a', 'c'] }]);
    expect(awaited(again.state)).toEqual(['a', 'c']);
    expect(play(again.state, sends('a'), sends('c')).effects.at(-1)).toMatchObject({
      type: 'fold',
      round: 1,
    });
  });

  test('a round that fails before it begins has no participants and acknowledges nothing', () => {
    const { state } = play(
      collecting(['a', 'b'], { quorum: 2 }),
      ...[sends('a'), sends('b')],
      ...([
        { type: 'leave', group: 'b' },
        { type: 'folded', round: 1 },
      ] as const),
    );
    expect(state).toMatchObject({ phase: 'failed', round: 2, participants: [], replies: [] });
    const sent: AggregatorMessage = { type: 'submission', group: 'a', round: 2, step: 0, digest: 'a' };
    expect(play(state, sent).effects).toEqual([
      { type: 'refuse', group: 'a', round: 2, step: 0, reason: 'not-asked' },
    ]);
  });

  test('a quorum of nobody, and a round of no steps, are refused', () => {
    const internal = expect.objectContaining({ code: 'INTERNAL' });
    expect(() => newRun({ rounds: 1, quorum: 0, steps: STEPS[1] })).toThrow(internal);
    expect(() => newRun({ rounds: 1, quorum: 1, steps: [] })).toThrow(internal);
  });
});

describe('aggregatorStateSchema', () => {
  const state = collecting(['a', 'b']);

  test.each<[string, object]>([
    ['a phase that there is not', { phase: 'resting' }],
    ['a step that there is not', { step: 1 }],
    ['a quorum of nobody', { quorum: 0 }],
    ['a round that was never opened', { attempt: 0 }],
    ['no steps', { steps: [] }],
    ['a failure while it collects', { failure: 'late' }],
    ['a failed run without a reason', { phase: 'failed' }],
    ['a step under way without its replies', { replies: [] }],
    ['a member more', { extra: 1 }],
    ['a state without a word on skipping', { skipped: undefined }],
  ])('refuses %s', (_, change) => {
    expect(aggregatorStateSchema.safeParse(state).success).toBe(true);
    expect(aggregatorStateSchema.safeParse({ ...state, ...change }).success).toBe(false);
  });

  test('takes a state of a round that is skipped, as it was stored', () => {
    const skipped: AggregatorState = {
      ...collecting(['a'], { steps: STEPS[2] }),
      ...{ phase: 'folding', step: 1, replies: [[], []], skipped: true },
    };
    expect(aggregatorStateSchema.parse(JSON.parse(JSON.stringify(skipped)))).toEqual(skipped);
  });

  test('takes the steps of a run as they were stored, patient or not', () => {
    const stored = aggregatorStateSchema.parse(
      JSON.parse(JSON.stringify(collecting(['a', 'b', 'c'], { steps: STEPS[5] }))),
    );
    expect(stored.steps).toEqual(STEPS[5]);
    expect(stored.steps.map(({ patient }) => patient === true)).toEqual([false, false, false, false, true]);
  });
});
