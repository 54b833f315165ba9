import { decode } from 'cborg';
import { beforeAll, describe, expect, test } from 'vitest';
import { asStage } from '../../../src/core/brand.ts';
import { PluralError } from '../../../src/core/errors.ts';
import { type RandomStream, randomStream } from '../../../src/core/random.ts';
import { SealingGroup } from '../../../src/privacy/seal/group-part.ts';
import { Heard } from '../../../src/privacy/seal/heard.ts';
import { STEP } from '../../../src/privacy/seal/messages.ts';
import { unpackElement } from '../../../src/privacy/seal/ring.ts';
import { sealOptions, sealSettings } from '../../../src/privacy/seal/settings.ts';
import { seal } from '../../../src/privacy/seal.ts';
import { rememberingCheck } from '../../../src/simulate/round-parts.ts';
import { encodeCbor } from '../../../src/wire/cbor.ts';
import type { ProtectedUpdate } from '../../../src/wire/stages.ts';
import { expectExact, updatesOf } from '../../support/exact-rounds.ts';
import { contextOf, identityIn, ProtectedRound, SHAPE } from '../../support/protected-round.ts';

/** Thousands of messages that are nearly right, in each step, to the aggregator and to a group. */

const PARAMETERS = 40;
const GROUPS = 4;
const MUTATIONS = 2000;
const STEPS = Object.entries(STEP);

const updates = updatesOf(GROUPS, PARAMETERS);
const [evil = '', ...others] = updates.map(({ group }) => group);
const KEY = identityIn(evil).publicKey;
const protection = seal.create({ mostGroups: GROUPS }, SHAPE);
const settings = sealSettings(sealOptions.parse({ mostGroups: GROUPS }), SHAPE);
const context = contextOf(PARAMETERS);

beforeAll(() => protection.prepare());

const roundOf = (change: Parameters<typeof contextOf>[1] = {}, parameters = PARAMETERS) =>
  new ProtectedRound({
    protection,
    updates: updatesOf(GROUPS, parameters),
    context: contextOf(parameters, change),
  });

type Mutate = (payload: Uint8Array, random: RandomStream) => Uint8Array;

function flipped(payload: Uint8Array, random: RandomStream): Uint8Array {
  const changed = new Uint8Array(payload);
  for (let flips = 1 + random.below(3); flips > 0; flips--) {
    changed[random.below(changed.length)]! ^= 1 << random.below(8);
  }
  return changed;
}

/** Heads and field names are at the beginning, and between long strings: where most of what can be wrong is. */
function flippedEarly(payload: Uint8Array, random: RandomStream): Uint8Array {
  const changed = new Uint8Array(payload);
  changed[random.below(Math.min(changed.length, 64))]! ^= 1 << random.below(8);
  return changed;
}

const truncated: Mutate = (payload, random) => payload.slice(0, random.below(payload.length));

function extended(payload: Uint8Array, random: RandomStream): Uint8Array {
  const more = Uint8Array.from({ length: 1 + random.below(40) }, () => random.below(256));
  return new Uint8Array(
    random.below(2) === 0 ? Buffer.concat([payload, more]) : Buffer.concat([more, payload]),
  );
}

/** Two pieces change places. */
function swapped(payload: Uint8Array, random: RandomStream): Uint8Array {
  const changed = new Uint8Array(payload);
  const length = 1 + random.below(Math.min(64, Math.floor(payload.length / 2)));
  const from = random.below(payload.length - length + 1);
  const to = random.below(payload.length - length + 1);
  changed.set(payload.subarray(from, from + length), to);
  changed.set(payload.subarray(to, to + length), from);
  return changed;
}

/** One byte is left out, or stands twice. */
function shifted(payload: Uint8Array, random: RandomStream): Uint8Array {
  const at = random.below(payload.length);
  const rest = payload.subarray(at + random.below(2) * 2);
  return new Uint8Array(Buffer.concat([payload.subarray(0, at + 1), rest]));
}

const STRANGE: readonly unknown[] = [
  null,
  0,
  -1,
  2 ** 53,
  'x',
  '',
  [],
  {},
  true,
  new Uint8Array(),
  new Uint8Array(32),
  [null],
];

/** A field is left out, doubled under another name, or has another value. Uploads are no CBOR. */
function refielded(payload: Uint8Array, random: RandomStream): Uint8Array {
  let content: Record<string, unknown>;
  try {
    content = decode(payload);
  } catch {
    return flippedEarly(payload, random);
  }
  const names = Object.keys(content);
  const name = names[random.below(names.length)]!;
  const { [name]: value, ...rest } = content;
  const strange = STRANGE[random.below(STRANGE.length)];
  const list = Array.isArray(value) ? value : [value];
  const choices: unknown[] = [
    rest,
    { ...content, [`${name}2`]: value },
    { ...rest, [name.toUpperCase()]: value },
    { ...content, [name]: strange },
    { ...content, [name]: list.slice(1) },
    { ...content, [name]: [...list, list[0]] },
    { ...content, [name]: list.toReversed() },
    [content],
    Object.values(content),
  ];
  return encodeCbor(choices[random.below(choices.length)]);
}

/** Small messages that would be large ones: heads that promise much, depth, many empty things, and encodings that are not the one. */
function bomb(_: Uint8Array, random: RandomStream): Uint8Array {
  const bytes = (...parts: (number | Uint8Array)[]) =>
    new Uint8Array(Buffer.concat(parts.map((part) => (typeof part === 'number' ? Buffer.of(part) : part))));
  const many = (byte: number, count: number) => new Uint8Array(count).fill(byte);
  const bombs = [
    () => bytes(0x9b, many(0xff, 8)),
    () => bytes(0xbb, many(0x7f, 8)),
    () => bytes(0x5b, many(0x7f, 8)),
    () => bytes(0x9a, 0x00, 0x00, 0xff, 0xff, many(0xa0, 65_535)),
    () => many(0x81, 20_000),
    () => many(0xa1, 20_000),
    () => bytes(0x9f, many(0xa0, 1000), 0xff),
    () => bytes(0x5f, 0x41, 0x00, 0xff),
    () => bytes(0xa1, 0x66, Buffer.from('sealed'), 0x9a, 0x00, 0x00, 0xff, 0xff, many(0x40, 65_535)),
    () => many(0xd8, 5000),
    () => bytes(0xfb, many(0xff, 8)),
    () => new Uint8Array(),
  ];
  return bombs[random.below(bombs.length)]!();
}

const MUTATES: readonly Mutate[] = [
  flipped,
  flippedEarly,
  truncated,
  extended,
  swapped,
  shifted,
  refielded,
  bomb,
];

/** A reply as it is mutated: most in what it says, some in what is written on it. */
function mutated(good: ProtectedUpdate, foreign: readonly Uint8Array[], random: RandomStream) {
  const kind = random.below(MUTATES.length + 2);
  const { payload } = good;
  const change: { -readonly [Key in keyof ProtectedUpdate]?: ProtectedUpdate[Key] } = {};
  let key = KEY;
  if (kind < MUTATES.length) change.payload = MUTATES[kind]!(payload, random);
  else if (kind === MUTATES.length) change.payload = foreign[random.below(foreign.length)]!;
  else {
    const what = random.below(4);
    if (what === 0) change.round = [0, -1, 2, 4, Number.NaN, 2 ** 60][random.below(6)]!;
    if (what === 1) change.protection = ['mask', 'none', '', 'SEAL', 'seal '][random.below(5)]!;
    if (what === 2) change.group = others[random.below(others.length)]!;
    if (what === 3) key = identityIn(others[random.below(others.length)]!).publicKey;
  }
  return { reply: asStage<'ProtectedUpdate', ProtectedUpdate>({ ...good, ...change }), key, kind };
}

const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

/** What may be accepted besides the good reply: another content of the same form. Looked at by other means than the reader's. */
function mayBeTaken(step: number, payload: Uint8Array, good: Uint8Array): boolean {
  if (same(payload, good)) return true;
  if (step === STEP.keys || step === STEP.consistency) return false;
  if (step === STEP.upload)
    return payload.length === good.length && same(payload.subarray(0, 32), good.subarray(0, 32));
  const [content, wanted] = [payload, good].map((bytes) => decode(bytes) as Record<string, unknown>);
  if (!same(content!['roster'] as Uint8Array, wanted!['roster'] as Uint8Array)) return false;
  if (Object.keys(content!).length !== 2) return false;
  if (step === STEP.open) {
    const share = content!['share'];
    return share === null || unpackElement(share as Uint8Array) !== null;
  }
  const boxes = (wanted!['sealed'] as Uint8Array[]).map(({ length }) => length);
  return (
    JSON.stringify((content!['sealed'] as Uint8Array[]).map(({ length }) => length)) === JSON.stringify(boxes)
  );
}

/** The code with which something is refused; null where it is not. Throws what is no error of ours. */
function codeOf(act: () => unknown): string | null {
  try {
    act();
    return null;
  } catch (thrown) {
    if (thrown instanceof PluralError) return thrown.code;
    throw thrown;
  }
}

const CODES = ['UPDATE_MALFORMED', 'UPDATE_LENGTH', 'SIGNATURE_INVALID', 'ROUND_REFUSED'];

describe(`${STEPS.length * MUTATIONS} replies that are nearly right`, () => {
  const round = roundOf();
  const foreigners = [
    roundOf({ attempt: 2 }),
    roundOf({ round: 4 }),
    roundOf({}, PARAMETERS + 1),
    roundOf({}, 9000),
  ];
  const before: Uint8Array[] = [];
  const taken: [number, ProtectedUpdate][] = [];

  test.each(STEPS)('in step %s: refused with a code and not counted, or of the right form', (_name, step) => {
    const { collection } = round;
    for (const group of others) round.reply(step, group);
    for (const foreigner of foreigners) for (const group of others) foreigner.reply(step, group);
    const good = round.answer(step, evil);
    const foreign = [
      ...others.map((group) => round.replies[step]!.get(group)!.payload),
      ...foreigners.map((foreigner) => foreigner.reply(step, evil).payload),
      ...before,
    ];
    const random = randomStream(step, 'mutations');
    const counts = new Map<string | null, number>();
    for (let i = 0; i < MUTATIONS; i++) {
      const { reply, key, kind } = mutated(good, foreign, random);
      const code = codeOf(() => collection.screen(step, reply, key));
      counts.set(code, (counts.get(code) ?? 0) + 1);
      if (code === null) {
        // Whoever screens has looked up the key of the group that signed the request.
        const another = reply.group !== evil || key !== KEY;
        if (!another && !mayBeTaken(step, reply.payload, good.payload))
          expect.unreachable(`${step} ${kind} ${i}`);
        continue;
      }
      if (!CODES.includes(code)) expect.unreachable(`${code}: ${step} ${kind} ${i}`);
      // Signatures are looked at once; all else is refused again, and leaves no trace.
      if (step !== STEP.keys && step !== STEP.consistency) {
        if (codeOf(() => collection.add(step, reply)) === null)
          expect.unreachable(`added: ${step} ${kind} ${i}`);
      }
    }
    expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBe(MUTATIONS);
    // Replies of every kind were refused, and where a message has room for other contents some were not.
    expect(counts.get('UPDATE_MALFORMED') ?? counts.get('UPDATE_LENGTH')).toBeGreaterThan(MUTATIONS / 4);
    round.take(step, good);
    for (const [of, reply] of [...taken, [step, good] as const]) {
      expect(codeOf(() => collection.add(of, reply))).toBe('ROUND_REFUSED');
      const other = asStage<'ProtectedUpdate', ProtectedUpdate>({
        ...reply,
        payload: flipped(reply.payload, random),
      });
      expect(codeOf(() => collection.add(of, other))).toBe('ROUND_REFUSED');
    }
    taken.push([step, good]);
    before.push(good.payload);
    round.endStep(step);
    for (const foreigner of foreigners) foreigner.endStep(step);
  });

  test('after all of them the sum is that of the four updates, bit for bit, and nobody is accused', () => {
    expectExact(round.collection.finish(), updates, settings);
    expect(round.collection.accused()).toEqual([]);
  });
});

describe('500 things that an aggregator shows, nearly right', () => {
  const SHOWN = 125;
  const verify = rememberingCheck();
  const round = roundOf();

  test.each(STEPS.slice(1))(
    'before step %s: a group turns away with a code, or may answer',
    (_name, step) => {
      if (step === STEP.shares) for (const each of Object.values(STEP)) round.playStep(each);
      const good = round.shown[step]!.get(evil)!;
      const random = randomStream(step, 'shown');
      const kinds = [...MUTATES];
      const counts = new Map<string | null, number>();
      for (let i = 0; i < SHOWN; i++) {
        const shown = kinds[i % kinds.length]!(good, random);
        const mine = roundPart(i === 0 ? good : shown, step);
        const update = step === STEP.upload ? updates[0]! : null;
        const code = codeOf(() => mine.answer(step, update));
        counts.set(code, (counts.get(code) ?? 0) + 1);
        // Keys are signed one by one; a list may be another good one, and boxes that do not open keep nobody from going on.
        if (step === STEP.shares && i > 0 && !same(shown, good)) expect(code).not.toBeNull();
        if (code !== null) expect(['AGGREGATOR_UNTRUSTED', 'ROUND_REFUSED']).toContain(code);
      }
      expect(counts.get(null)).toBeGreaterThanOrEqual(1);
      expect(counts.get('AGGREGATOR_UNTRUSTED')).toBeGreaterThan(SHOWN / 2);
    },
  );

  function roundPart(shown: Uint8Array, step: number): SealingGroup {
    const again = new ProtectedRound({
      protection,
      updates,
      context,
      join: (setup) =>
        new SealingGroup(
          new Heard(settings, {
            ...setup,
            heard: (of) => (of === step ? shown : round.shown[of]!.get(evil)!),
            verify,
          }),
        ),
    });
    return again.partOf(evil) as SealingGroup;
  }
});
