import { describe, expect, test } from 'vitest';
import { asStage } from '../../src/core/brand.ts';
import { canonicalJson } from '../../src/core/digest.ts';
import { MaskedGroup } from '../../src/privacy/mask/group-part.ts';
import { Heard } from '../../src/privacy/mask/heard.ts';
import { STEP, sharesMessage, unmaskMessage } from '../../src/privacy/mask/messages.ts';
import { joinSecret } from '../../src/privacy/mask/shamir.ts';
import { mask } from '../../src/privacy/mask.ts';
import type { GroupSetup } from '../../src/privacy/protection.ts';
import { sumOfWords } from '../../src/privacy/secure-sum/words.ts';
import type { Update } from '../../src/wire/stages.ts';
import {
  Cast,
  codeOf,
  confidedBy,
  namesOf,
  PARAMETERS,
  placed,
  unmaskWith,
  wordsInClear,
} from '../support/attacks.ts';
import { contextOf, identityIn, ProtectedRound, SHAPE } from '../support/protected-round.ts';

/** Groups give wrong shares in the last step, and would have another sum come out of it, or none. */

const GROUPS = namesOf(7);
const UPDATES = GROUPS.map((name) => new Cast(GROUPS).updateOf(name));
const { settings } = new Cast(GROUPS);

/** A group that answers as it should, until it reveals: then every share is a wrong one. */
class Liar extends MaskedGroup {
  override answer(step: number, update: Update | null): Uint8Array {
    const answer = super.answer(step, update);
    if (step !== STEP.unmask) return answer;
    const { roster, shares } = unmaskMessage.read(answer)!;
    return unmaskMessage.write({
      roster,
      shares: shares.map((share) => share?.map((byte) => byte ^ 1) ?? null),
    });
  }
}

/** A group that seals nonsense for its first so many neighbours. */
const nonsenseFor = (neighbours: number) =>
  class extends MaskedGroup {
    override answer(step: number, update: Update | null): Uint8Array {
      const answer = super.answer(step, update);
      if (step !== STEP.shares) return answer;
      const { sealed, ...shares } = sharesMessage.read(answer)!;
      return sharesMessage.write({ ...shares, sealed: spoiled(sealed, neighbours) });
    }
  };

/** The first so many boxes hold nothing that opens. */
function spoiled(sealed: readonly Uint8Array[], count: number): Uint8Array[] {
  return sealed.map((box, index) => (index < count ? new Uint8Array(box.length).fill(5) : box));
}

/** A group that commits to another secret than it shares. */
class OtherSecret extends MaskedGroup {
  override answer(step: number, update: Update | null): Uint8Array {
    const answer = super.answer(step, update);
    if (step !== STEP.shares) return answer;
    return sharesMessage.write({ ...sharesMessage.read(answer)!, commitment: new Uint8Array(32) });
  }
}

interface Change {
  readonly updates?: readonly Update[];
  readonly lost?: readonly string[];
  readonly kind?: new (heard: Heard) => MaskedGroup;
}

function roundWith(corrupt: readonly string[], { updates = UPDATES, lost = [], kind = Liar }: Change = {}) {
  const join = (setup: GroupSetup) => {
    const heard = new Heard(settings, setup);
    return corrupt.includes(setup.group) ? new kind(heard) : new MaskedGroup(heard);
  };
  const silentBefore = new Map([[STEP.upload, lost]]);
  const protection = mask.create({}, SHAPE);
  return new ProtectedRound({ protection, updates, context: contextOf(PARAMETERS), join, silentBefore });
}

/** The sum that everybody would compute who saw the updates in clear. */
function plainSum(groups: readonly string[], updates = UPDATES) {
  const words = updates
    .filter(({ group }) => groups.includes(group))
    .map((update) => wordsInClear(update, settings));
  const sum = words.reduce((total, each) => total.map((word, i) => word + each[i]!));
  return sumOfWords(sum, settings).weightedSum;
}

test('an aggregator that does not know a secret again takes the mask of a liar off, and adds noise to the model', () => {
  const cast = new Cast(GROUPS);
  cast.collect();
  const keepers = GROUPS.slice(1, 5);
  const { self, mask: maskLoot } = confidedBy(cast, keepers, 'g00');
  const roster = cast.rosterOf('g00');
  const wrong = new Map(
    [...self].map(([name, share], i) => [name, i === 0 ? share.map((byte) => byte ^ 1) : share]),
  );
  const open = (loot: typeof self) => joinSecret(placed(roster, 'g00', loot), roster.plan.threshold);
  const steered = unmaskWith(cast, 'g00', { self: open(wrong), mask: open(maskLoot) });
  expect(steered).not.toEqual(cast.clearWords('g00'));
  expect(unmaskWith(cast, 'g00', { self: open(self), mask: open(maskLoot) })).toEqual(cast.clearWords('g00'));
});

describe('ours', () => {
  test.each(GROUPS)('opens the sum of all bit for bit where %s lies', (liar) => {
    expect(roundWith([liar]).play().weightedSum).toEqual(plainSum(GROUPS));
  });

  test.each(['g00', 'g03', 'g06'])('opens the sum of six where one is lost and %s lies', (liar) => {
    const lost = liar === 'g01' ? 'g02' : 'g01';
    expect(roundWith([liar], { lost: [lost] }).play().weightedSum).toEqual(
      plainSum(GROUPS.filter((name) => name !== lost)),
    );
  });

  test.each([
    ['g00', 'g01'],
    ['g03', 'g07'],
    ['g10', 'g16'],
    ['g18', 'g19'],
    ['g00', 'g19'],
  ])('opens the sum of twenty where %s and %s lie, as many as are assumed corrupt', (...liars) => {
    const names = namesOf(20);
    const updates = names.map((name) => new Cast(names).updateOf(name));
    expect(roundWith(liars, { updates }).play().weightedSum).toEqual(plainSum(names, updates));
  });

  test.each([
    ['three, so that too few are left,', ['g00', 'g01', 'g02']],
    ['all', GROUPS],
  ])('opens nothing where %s lie: no sum is better than a wrong one', (_name, liars) => {
    const round = roundWith(liars);
    expect(codeOf(() => round.play())).toBe('ROUND_FAILED');
  });

  test.each([1, 2])(
    'goes on without the shares of a group that sealed nonsense for %d neighbours',
    (count) => {
      // Of six neighbours, the shares of four are enough.
      const evil = 'g03';
      const round = roundWith([evil], { kind: nonsenseFor(count) });
      expect(round.play().weightedSum).toEqual(plainSum(GROUPS));
      const missing = [...round.replies[STEP.unmask]!].flatMap(([group, { payload }]) => {
        const { shares } = unmaskMessage.read(payload)!;
        const owners = GROUPS.filter((name) => name !== group);
        return owners.filter((_, index) => shares[index] === null).map((owner) => [group, owner]);
      });
      expect(missing).toEqual(GROUPS.slice(0, count).map((group) => [group, evil]));
      // Masked against all the same: gone after that, it leaves a mask in the sum that the others can take off.
      const left = roundWith([evil], { kind: nonsenseFor(count), lost: [evil] });
      expect(left.play().weightedSum).toEqual(plainSum(GROUPS.filter((name) => name !== evil)));
    },
  );

  test('no honest group ends its part because one seals nonsense for everybody; the error says whose shares are missing', () => {
    const round = roundWith(['g03'], { kind: nonsenseFor(6) });
    expect(() => round.play()).toThrow(
      expect.objectContaining({
        code: 'ROUND_FAILED',
        message: expect.stringContaining('0 of 4 needed neighbours of group "g03"'),
      }),
    );
    expect(round.replies[STEP.unmask]!.size).toBe(GROUPS.length);
  });

  test('does not say that it was the neighbours where a group commits to another secret than it shared', () => {
    const round = roundWith(['g03'], { kind: OtherSecret });
    expect(() => round.play()).toThrow(
      expect.objectContaining({
        code: 'ROUND_FAILED',
        message: expect.stringMatching(/group "g03".*it gave wrong ones, or its neighbours did/),
      }),
    );
  });

  test('refuses what a malicious group sends, in every step, and takes the true message after it', () => {
    const round = roundWith([]);
    const evil = GROUPS[3]!;
    const key = identityIn(evil).publicKey;
    for (const step of Object.values(STEP)) {
      for (const group of GROUPS.filter((name) => name !== evil)) round.reply(step, group);
      const good = round.answer(step, evil);
      const { payload } = good;
      const other = round.replies[step]!.get('g00')!.payload;
      const flipped = (at: number) => payload.map((byte, i) => (i === at ? byte ^ 1 : byte));
      const bad = [
        new Uint8Array(),
        payload.slice(0, -1),
        Buffer.concat([payload, payload.slice(0, 1)]),
        Buffer.from(canonicalJson({ evil: true })),
        flipped(0),
        flipped(40),
        ...(step === STEP.unmask ? [] : [other]),
      ];
      for (const content of bad) {
        const reply = asStage<'ProtectedUpdate', typeof good>({ ...good, payload: new Uint8Array(content) });
        const code = codeOf(() => round.collection.screen(step, reply, key));
        const spared = step === STEP.shares && content === other;
        if (!spared) expect([step, bad.indexOf(content), code]).not.toContain(null);
      }
      round.take(step, good);
      round.endStep(step);
    }
    expect(round.collection.finish().weightedSum).toEqual(plainSum(GROUPS));
  });
});
