import { expect, test } from 'vitest';
import { MaskedGroup } from '../../src/privacy/mask/group-part.ts';
import { Heard } from '../../src/privacy/mask/heard.ts';
import { type Shares, STEP, sharesMessage, unmaskMessage } from '../../src/privacy/mask/messages.ts';
import { maskOptions, maskSettings } from '../../src/privacy/mask/settings.ts';
import { mask } from '../../src/privacy/mask.ts';
import type { Update } from '../../src/wire/stages.ts';
import { Cast, codeOf, namesOf, PARAMETERS } from '../support/attacks.ts';
import { contextOf, ProtectedRound, SHAPE } from '../support/protected-round.ts';

/**
 * What an attacker can still do: all of it costs a round, and none of it tells an update. Each of these states what should hold;
 * once it does, the test is to be moved to the others, without `fails`.
 */

type Lie = (step: number, group: string, answer: Uint8Array) => Uint8Array;

function roundOf(count: number, lie: Lie, silent: readonly string[] = []) {
  const settings = maskSettings(maskOptions.parse({}), SHAPE);
  const updates = namesOf(count).map((name) => new Cast(namesOf(count)).updateOf(name));
  class Evil extends MaskedGroup {
    readonly #group: string;
    constructor(heard: Heard) {
      super(heard);
      this.#group = heard.setup.group;
    }
    override answer(step: number, update: Update | null): Uint8Array {
      return lie(step, this.#group, super.answer(step, update));
    }
  }
  return new ProtectedRound({
    protection: mask.create({}, SHAPE),
    updates,
    context: contextOf(PARAMETERS),
    silentBefore: new Map([[STEP.unmask, silent]]),
    join: (setup) => new Evil(new Heard(settings, setup)),
  });
}

const revealingWrongShares =
  (liars: readonly string[]): Lie =>
  (step, group, answer) => {
    if (step !== STEP.unmask || !liars.includes(group)) return answer;
    const { roster, shares } = unmaskMessage.read(answer)!;
    const wrong = shares.map((share) => share?.map((byte) => byte ^ 1) ?? null);
    return unmaskMessage.write({ roster, shares: wrong });
  };

const sharing =
  (evil: string, change: Partial<Shares>): Lie =>
  (step, group, answer) => {
    if (step !== STEP.shares || group !== evil) return answer;
    return sharesMessage.write({ ...sharesMessage.read(answer)!, ...change });
  };

// Of three groups each has two neighbours, and the shares of both are needed: none can be spared.
test.fails('one liar of three groups: the sum is opened', () => {
  expect(codeOf(() => roundOf(3, revealingWrongShares(['g00'])).play())).toBeNull();
});

// The step waits for it, and where it is taken out of the run, the round has to be skipped.
test.fails('one of three groups that is silent for good in the last step: the sum is opened', () => {
  expect(codeOf(() => roundOf(3, (_, __, answer) => answer, ['g00']).play())).toBeNull();
});

// Windows of ten shares in a row, of nineteen in a circle, have one of them in it: whoever chooses names can stand so.
test.fails('two liars of twenty groups, half of the circle apart: the sum is opened with the shares of the 18', () => {
  expect(codeOf(() => roundOf(20, revealingWrongShares(['g00', 'g09'])).play())).toBeNull();
});

// Nobody can take its self mask off the sum, and its update is in it by then: the round has to be skipped, which names the group.
test.fails('one group that seals nonsense for everybody: the sum of the others is opened', () => {
  const sealed = Array.from({ length: 9 }, () => new Uint8Array(80).fill(5));
  expect(codeOf(() => roundOf(10, sharing('g05', { sealed })).play())).toBeNull();
});

// The same: what its neighbours keep is not what it committed to, and nobody can tell who lied.
test.fails('one group that commits to another secret than it shared: the sum of the others is opened', () => {
  expect(codeOf(() => roundOf(10, sharing('g05', { commitment: new Uint8Array(32) })).play())).toBeNull();
});
