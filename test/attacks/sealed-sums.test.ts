import { beforeAll, describe, expect, test } from 'vitest';
import { asStage } from '../../src/core/brand.ts';
import { bytesOf, hexOf } from '../../src/core/bytes.ts';
import { sha256 } from '../../src/core/digest.ts';
import type { RoundContext, SealingCollection } from '../../src/privacy/protection.ts';
import { readersFingerprint } from '../../src/privacy/readers-key.ts';
import { addCiphertext, emptySum } from '../../src/privacy/seal/ciphertext.ts';
import { SealingGroup } from '../../src/privacy/seal/group-part.ts';
import { Heard } from '../../src/privacy/seal/heard.ts';
import { answerMessage, openMessage, STEP } from '../../src/privacy/seal/messages.ts';
import { openSum } from '../../src/privacy/seal/open-sum.ts';
import type { PublishingCollection } from '../../src/privacy/seal/publishing-collection.ts';
import { type Asked, answerKey } from '../../src/privacy/seal/readers.ts';
import { unpackElement } from '../../src/privacy/seal/ring.ts';
import { readSealedSum, writeSealedSum } from '../../src/privacy/seal/sealed-sum.ts';
import { sealOptions, sealSettings } from '../../src/privacy/seal/settings.ts';
import { seal } from '../../src/privacy/seal.ts';
import { keyFor } from '../../src/privacy/secure-sum/keys.ts';
import { openSealed, seal as sealBox } from '../../src/privacy/secure-sum/sealed-share.ts';
import { updateWords, wordsOf } from '../../src/privacy/secure-sum/words.ts';
import { codeOf } from '../support/attacks.ts';
import { updatesOf } from '../support/exact-rounds.ts';
import { contextOf, ProtectedRound, type RoundOptions, SHAPE } from '../support/protected-round.ts';

/** An aggregator that holds ciphertext, and wants the sums all the same; or wants groups to have different ones. */

const PARAMETERS = 30;
const READERS = Buffer.from(sha256('readers'), 'hex');
const HELD = { ...SHAPE, holds: 'ciphertext' } as const;
const held = seal.create({ mostGroups: 8 }, HELD);
const open = seal.create({ mostGroups: 8 }, SHAPE);
const settings = sealSettings(sealOptions.parse({ mostGroups: 8 }), HELD);
const context = contextOf(PARAMETERS);
const updates = updatesOf(4, PARAMETERS);
const GROUPS = updates.map(({ group }) => group);

beforeAll(() => held.prepare());

function played(change: Partial<RoundOptions> = {}): ProtectedRound {
  const join: RoundOptions['join'] = (setup) => held.join({ ...setup, readersKey: READERS });
  const round = new ProtectedRound({ protection: held, updates, context, join, ...change });
  for (const step of held.steps.keys()) round.playStep(step);
  return round;
}

// What plays a round of any protection does not know that this one publishes.
const publishedBy = ({ collection }: ProtectedRound) => (collection as SealingCollection).publish();
const rosterOf = ({ collection }: ProtectedRound) => (collection as PublishingCollection).roster;

describe('an aggregator with all answers of the committee', () => {
  /** What it opens with shares that it has in clear. */
  function sumWith(shares: ReadonlyMap<string, Uint8Array | null>): string | null {
    const round = new ProtectedRound({ protection: open, updates, context });
    for (let step = 0; step < STEP.open; step++) round.playStep(step);
    const roster = Buffer.from((round.collection as PublishingCollection).roster.digest, 'hex');
    for (const group of GROUPS) {
      const payload = openMessage.write({ roster, share: shares.get(group) ?? null });
      round.take(STEP.open, { ...round.answer(STEP.open, group), payload });
    }
    round.endStep(STEP.open);
    try {
      return hexOf(bytesOf(round.collection.finish().weightedSum));
    } catch {
      return null;
    }
  }

  const honest = new ProtectedRound({ protection: open, updates, context });
  beforeAll(() => void honest.play());

  test('reads the sum where members answer in clear', () => {
    const shares = GROUPS.map((group) => {
      const { payload } = honest.replies[STEP.open]!.get(group)!;
      return [group, openMessage.read(payload)!.share] as const;
    });
    expect(sumWith(new Map(shares))).not.toBeNull();
  });

  test('ours: what it has of an answer is no share, and no key that it can think of opens one', () => {
    const sealed = publishedBy(played());
    const { answers, roster } = readSealedSum(sealed, settings, PARAMETERS)!;
    for (const { sealed: box } of answers) {
      for (const part of [box.subarray(16), box.subarray(0, -16)]) expect(unpackElement(part)).toBeNull();
    }
    const known = [
      new Uint8Array(32),
      Buffer.from(readersFingerprint(READERS), 'hex'),
      new Uint8Array(roster),
      Buffer.from(context.run, 'hex'),
      Buffer.from(context.model, 'hex'),
      Buffer.from(sha256(sealed), 'hex'),
    ];
    for (const guess of known) {
      expect(held.sealedSums!.read(sealed, context, guess)).toEqual({
        aggregate: null,
        impossible: false,
        accused: [],
      });
    }
    // With the key, it is a share of what an aggregator opens that is not to hold ciphertext.
    expect(held.sealedSums!.read(sealed, context, READERS).accused).toEqual([]);
  });
});

describe('an aggregator that enrols members of its own, as many as open a sum', () => {
  const HONEST = ['g0', 'g1', 'g2'];
  const MADE_UP = ['z0', 'z1', 'z2', 'z3'];
  const all = [...HONEST, ...MADE_UP];
  const theirs = updatesOf(all.length, PARAMETERS).map((update, index) =>
    asStage({ ...update, group: all[index]! }),
  );

  /** A round up to the boxes, and what its made-up members heard; `guess`: what they take for the readers' key. */
  function dealt(guess: Uint8Array) {
    const heard = new Map<string, Heard>();
    const join: RoundOptions['join'] = (setup) => {
      if (HONEST.includes(setup.group)) return held.join({ ...setup, readersKey: READERS });
      const own = new Heard(settings, { ...setup, readersKey: guess });
      heard.set(setup.group, own);
      return new SealingGroup(own);
    };
    const round = new ProtectedRound({ protection: held, updates: theirs, context, join });
    for (const step of [STEP.keys, STEP.shares, STEP.upload]) round.playStep(step);
    return { round, heard };
  }

  /** The words of one update, with the shares that the made-up members have; null where they have too few. */
  function readOf(victim: string, { round, heard }: ReturnType<typeof dealt>): Uint32Array | null {
    const { committee, seed } = heard.get('z0')!.roster();
    expect(committee.threshold).toBe(MADE_UP.length);
    const shares = MADE_UP.flatMap((member) => {
      const share = heard.get(member)!.shareFrom(victim);
      return share === null ? [] : [{ member, x: committee.members.indexOf(member) + 1, share }];
    });
    if (shares.length < committee.threshold) return null;
    const { plan } = settings;
    const words = wordsOf(PARAMETERS, settings.grid);
    const sum = emptySum(plan, words);
    addCiphertext(sum, round.replies[STEP.upload]!.get(victim)!.payload.subarray(32), plan);
    return openSum({ plan, sum, words, seed, shares, threshold: committee.threshold })?.words ?? null;
  }

  test("with the readers' key it reads a single update before any sum: the measure can tell", () => {
    const update = theirs.find(({ group }) => group === 'g1')!;
    expect(readOf('g1', dealt(READERS))).toEqual(updateWords(update, settings, new Uint8Array(32)));
  });

  test('without it, no box opens, whatever it takes for the key', () => {
    for (const guess of [new Uint8Array(32), Buffer.from(readersFingerprint(READERS), 'hex')]) {
      const round = dealt(guess);
      for (const victim of HONEST) {
        expect(readOf(victim, round)).toBeNull();
        for (const heard of round.heard.values()) expect(heard.shareFrom(victim)).toBeNull();
      }
    }
  });

  test('what they deal opens nowhere, so that no member answers for a sum that they are in', () => {
    const { round } = dealt(new Uint8Array(32));
    for (const step of [STEP.consistency, STEP.open]) round.playStep(step);
    const answers = HONEST.map((group) => answerMessage.read(round.replies[STEP.open]!.get(group)!.payload));
    expect(answers.map((answer) => answer!.sealed)).toEqual(HONEST.map(() => null));
  });
});

describe('an aggregator that passes other answers on than it got', () => {
  const content = () => readSealedSum(publishedBy(played()), settings, PARAMETERS)!;
  const nonsense = new Uint8Array(56_336);

  test('can make a member look wrong, which is why nobody is said to be', () => {
    const [first, ...rest] = content().answers;
    const framed = writeSealedSum({ ...content(), answers: [{ ...first!, sealed: nonsense }, ...rest] });
    const { aggregate, accused } = held.sealedSums!.read(framed, context, READERS);
    expect({ opened: aggregate !== null, accused }).toEqual({ opened: true, accused: [GROUPS[0]] });
  });

  test('where none of them opens, names nobody', () => {
    const answers = content().answers.map(({ x }) => ({ x, sealed: nonsense }));
    const framed = writeSealedSum({ ...content(), answers });
    expect(held.sealedSums!.read(framed, context, READERS)).toEqual({
      aggregate: null,
      impossible: false,
      accused: [],
    });
  });
});

describe('an answer that is used again', () => {
  const asked = (): Asked => {
    const { digest, committee } = rosterOf(played());
    return { context, roster: digest, committee, survivors: GROUPS };
  };
  const first = GROUPS[0]!;
  const CHANGES: [string, (before: Asked) => Asked, string][] = [
    ['in another attempt', (a) => ({ ...a, context: { ...a.context, attempt: 2 } }), first],
    ['in another round', (a) => ({ ...a, context: { ...a.context, round: 4 } }), first],
    ['in another run', (a) => ({ ...a, context: { ...a.context, run: sha256('other') } }), first],
    ['on top of another model', (a) => ({ ...a, context: { ...a.context, model: sha256('other') } }), first],
    ['among other keys', (a) => ({ ...a, roster: sha256('other') }), first],
    ['for other survivors', (a) => ({ ...a, survivors: GROUPS.slice(1) }), first],
    ['of fewer members', (a) => ({ ...a, committee: { ...a.committee, threshold: 2 } }), first],
    ['as that of another member', (a) => a, GROUPS[1]!],
  ];

  test.each(CHANGES)('%s opens where keys are bound to nothing, and not with ours', (_, change, member) => {
    const before = asked();
    const unbound = () => keyFor(READERS, 'sealed answer', {});
    const share = new Uint8Array(100).fill(3);
    for (const [keyOf, opens] of [
      [unbound, true],
      [answerKey, false],
    ] as const) {
      const box = sealBox(keyOf(READERS, before, first), share);
      expect(openSealed(keyOf(READERS, before, first), box)).toEqual(share);
      expect(openSealed(keyOf(READERS, change(before), member), box) !== null).toBe(opens);
    }
  });

  test('a sealed sum with the answers of another attempt opens nothing', () => {
    const one = readSealedSum(publishedBy(played()), settings, PARAMETERS)!;
    const again: RoundContext = { ...context, attempt: 2 };
    const join: RoundOptions['join'] = (setup) =>
      held.join({ ...setup, context: again, readersKey: READERS });
    const second = new ProtectedRound({ protection: held, updates, context: again, join });
    for (const step of held.steps.keys()) second.playStep(step);
    const two = publishedBy(second);
    expect(held.sealedSums!.read(two, context, READERS).aggregate).not.toBeNull();
    const at = Buffer.from(two).indexOf(readSealedSum(two, settings, PARAMETERS)!.answers[0]!.sealed);
    const mixed = Buffer.from(two);
    for (const [index, { sealed }] of one.answers.entries()) mixed.set(sealed, at + index * sealed.length);
    expect(held.sealedSums!.read(mixed, context, READERS)).toEqual({
      aggregate: null,
      impossible: false,
      accused: [],
    });
  });
});

describe('an aggregator that tells a group that was away another past, which ends in the same sum', () => {
  const past = sha256('a past in which a round was skipped');

  test('is not noticed where sums do not say what they go on from', () => {
    const sealed = publishedBy(played());
    const { model: _, ...content } = readSealedSum(sealed, settings, PARAMETERS)!;
    const unlinked = (model: string) => writeSealedSum({ ...content, model });
    // Nothing opens, and the group goes on with a model of its own, under the digest that all have.
    expect(held.sealedSums!.read(unlinked(past), { ...context, model: past }, READERS).aggregate).toBeNull();
  });

  test('ours: the sum does not go on from there', () => {
    const sealed = publishedBy(played());
    const read = () => held.sealedSums!.read(sealed, { ...context, model: past }, READERS);
    expect(codeOf(read)).toBe('AGGREGATOR_UNTRUSTED');
    expect(readSealedSum(sealed, settings, PARAMETERS)!.model).toBe(context.model);
  });
});

describe('an aggregator that gave one group another sum than the others', () => {
  const other = GROUPS[2]!;
  /** The round after it; `named`: what a group takes for the digest of the sum that it trains from. */
  function next(named: (group: string) => string) {
    const join: RoundOptions['join'] = (setup) =>
      held.join({ ...setup, context: { ...context, model: named(setup.group) }, readersKey: READERS });
    return codeOf(() => played({ join, screens: false }));
  }

  test('is not noticed where rounds are not bound to the sum before them', () => {
    expect(next(() => context.model)).toBeNull();
  });

  test('ours: in the next round nobody shares', () => {
    const named = (group: string) => (group === other ? sha256('another sum') : context.model);
    expect(next(named)).toBe('AGGREGATOR_UNTRUSTED');
  });
});
