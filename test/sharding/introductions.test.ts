import { describe, expect, test } from 'vitest';
import { keyPairOf } from '../../src/privacy/secure-sum/key-agreement.ts';
import { checkGreeting, parseGreeting, signGreeting } from '../../src/sharding/frames/greeting.ts';
import {
  Introductions,
  type IntroductionsMemory,
  type LateSeats,
} from '../../src/sharding/frames/introductions.ts';
import { Link } from '../../src/sharding/frames/link.ts';
import { boundOf, Links } from '../../src/sharding/frames/links.ts';
import { linkedWith, type Newcomer, type Seats, takeSeat } from '../../src/sharding/frames/seats.ts';
import { identityOf } from '../../src/wire/identity.ts';
import { keyOf } from '../support/sharding.ts';

// Links with those who take their seats after the run began.

const RUN = 'ab'.repeat(32);
const LATE: LateSeats = { keepers: 2, groups: 2 };

const identity = (name: string) => identityOf(Buffer.from(keyOf('identity', name)).toString('hex'));
const keys = (name: string) => keyPairOf(keyOf('seat', name));
const idOf = (name: string) => identity(name).publicKey;
const seatOf = (name: string) => takeSeat(RUN, identity(name), keys(name).publicKey);

const SEATS: Seats = {
  keepers: ['k0', 'k1', 'k2'].map(seatOf),
  standbys: [{ stage: 1, seat: seatOf('s1') }],
  groups: [seatOf('g0')],
};
const bound = boundOf({ run: RUN, seats: SEATS, frames: 'float32', width: 8 });

interface Person {
  readonly name: string;
  readonly links: Links;
  readonly introductions: Introductions;
}

/** Somebody of the beginning, who has gone on to an epoch, or a newcomer, who has no links. */
function person(
  name: string,
  { epoch = 0, late = LATE, memory }: { epoch?: number; late?: LateSeats; memory?: IntroductionsMemory } = {},
): Person {
  const own = { id: idOf(name), keys: keys(name) };
  const agreed = ['k0', 'k1', 'k2', 's1', 'g0'].includes(name) ? linkedWith(SEATS, own.id) : [];
  const links = new Links(
    new Map(agreed.map((other) => [other.id, Link.between(bound, own, other)] as const)),
    bound,
  );
  links.advanceTo(epoch);
  const setup = { run: RUN, identity: identity(name), seats: SEATS, bound, links, late };
  return { name, links, introductions: new Introductions(setup, memory) };
}

const newcomer = (name: string, stage: number | null): Newcomer => ({ seat: seatOf(name), stage });
const opened = (bytes: Uint8Array) => parseGreeting(bytes)!;

/** One greets all others, and hears what they answer. */
function meet(one: Person, others: readonly Person[], epoch: number): void {
  for (const bytes of one.introductions.greetings()) {
    const hello = opened(bytes);
    const other = others.find(({ name }) => idOf(name) === hello.greeting.to);
    if (other === undefined) continue;
    const welcome = other.introductions.receive(hello, epoch);
    expect(one.introductions.receive(opened(welcome!), epoch)).toBeNull();
  }
}

const secretWith = ({ links }: Person, name: string) => links.with(idOf(name))?.secret();

test('a group that came later has the same secrets as the keepers at both ends, in their epoch, and none with others', () => {
  const all = ['k0', 'k1', 'k2', 's1'].map((name) => person(name, { epoch: 3 }));
  const late = person('g9');
  for (const one of [...all, late]) one.introductions.admit([newcomer('g9', null)]);
  meet(late, all, 3);
  expect(late.links.epoch).toBe(3);
  for (const index of [0, 2]) expect(secretWith(all[index]!, 'g9')).toEqual(secretWith(late, `k${index}`));
  for (const index of [1, 3]) expect(secretWith(all[index]!, 'g9')).toBeUndefined();
  expect(late.introductions.knows(['k0', 'k2'].map(idOf))).toBe(true);
  expect(late.introductions.greetings()).toEqual([]);
});

test('a keeper that came later has a link with all keepers, and at the end of the model with the groups, of whom later ones greet it', () => {
  const all = ['k0', 'k1', 'k2', 's1', 'g0'].map((name) => person(name, { epoch: 2 }));
  const [keeper, group] = [person('k9'), person('g9')];
  const came = [newcomer('k9', 2), newcomer('g9', null)];
  for (const one of [...all, keeper, group]) one.introductions.admit(came);
  meet(keeper, [...all, group], 2);
  expect(secretWith(keeper, 'g9')).toBeUndefined();
  meet(group, [...all, keeper], 2);
  for (const one of all) expect(secretWith(one, 'k9')).toEqual(secretWith(keeper, one.name));
  expect(secretWith(group, 'k9')).toEqual(secretWith(keeper, 'g9'));
  expect(secretWith(group, 'k9')).toBeDefined();
});

test('links of those who answered in different epochs meet in the later one', () => {
  const [first, last] = [person('k0', { epoch: 1 }), person('k2', { epoch: 1 })];
  const late = person('g9');
  for (const one of [first, last, late]) one.introductions.admit([newcomer('g9', null)]);
  meet(late, [first], 1);
  for (const one of [first, last]) one.links.advanceTo(4);
  meet(late, [last], 4);
  expect(late.links.epoch).toBe(4);
  expect(secretWith(first, 'g9')).toEqual(secretWith(late, 'k0'));
  expect(secretWith(last, 'g9')).toEqual(secretWith(late, 'k2'));
});

test('an answer that was lost is given again, also by who was started again, and joins where the others have got to', () => {
  const first = person('k0', { epoch: 1 });
  const late = person('g9');
  for (const one of [first, late]) one.introductions.admit([newcomer('g9', null)]);
  const hello = () => opened(late.introductions.greetings()[0]!);
  const lost = first.introductions.receive(hello(), 1)!;
  const again = person('k0', { memory: first.introductions.memory() });
  again.links.restore(first.links.memory());
  again.links.advanceTo(2);
  const welcome = again.introductions.receive(hello(), 2)!;
  expect(welcome).toEqual(lost);
  const restarted = person('g9', { memory: late.introductions.memory() });
  restarted.introductions.receive(opened(welcome), 2);
  restarted.links.advanceTo(2);
  expect(secretWith(restarted, 'k0')).toEqual(secretWith(again, 'g9'));
  // What it asked with is forgotten.
  expect(restarted.introductions.memory().asked.map(([id]) => id)).toEqual([idOf('k2')]);
});

test.each([
  ['who has no seat', 'stranger', []],
  ['who has no seat that it has a link with', 'k9', [newcomer('k9', null)]],
  ['who was there before', 'k1', []],
  [
    'beyond those that the definition allows',
    'k9',
    [1, 1, 1].map((stage, i) => newcomer(`k${i + 7}`, stage)),
  ],
])('refuses a greeting of somebody %s', (what, name, came) => {
  const keeper = person(what.includes('link') ? 'k1' : 'k0');
  keeper.introductions.admit(came);
  const hello = {
    kind: 'hello',
    run: RUN,
    from: idOf(name),
    to: idOf(keeper.name),
    stage: keeper.name === 'k1' ? 1 : 0,
    key: keys('x').publicKey,
  } as const;
  const before = keeper.links.memory();
  expect(() => keeper.introductions.receive(opened(signGreeting(hello, identity(name))), 0)).toThrow(
    expect.objectContaining({ code: 'FRAME_REFUSED' }),
  );
  expect(keeper.links.memory()).toEqual(before);
});

test('refuses keepers that are not on its list, and takes those behind them', () => {
  const accepts = (id: string) => id !== idOf('k8');
  const keeper = person('k0', { late: { ...LATE, accepts } });
  keeper.introductions.admit([newcomer('k8', 1), newcomer('k9', 1)]);
  const standbys = keeper.introductions.seats.standbys.map(({ seat }) => seat.id);
  expect(standbys).toEqual([idOf('s1'), idOf('k9')]);
});

test('refuses a list on which somebody is another than before, has two seats, or has not signed', () => {
  const keeper = person('k0');
  keeper.introductions.admit([newcomer('k9', 1)]);
  const refused = (came: readonly Newcomer[], code: string) =>
    expect(() => keeper.introductions.admit(came)).toThrow(expect.objectContaining({ code }));
  refused([newcomer('k9', 2)], 'STAGE_TAKEN');
  refused([], 'STAGE_TAKEN');
  refused([newcomer('k9', 1), newcomer('k1', 2)], 'STAGE_TAKEN');
  refused([newcomer('k9', 1), newcomer('g0', null)], 'STAGE_TAKEN');
  const forged = { ...newcomer('k8', 1).seat, agreementKey: keys('other').publicKey };
  refused([newcomer('k9', 1), { seat: forged, stage: 2 }], 'SIGNATURE_INVALID');
  expect(keeper.introductions.seats.standbys).toHaveLength(2);
});

test('whoever carries greetings can put no key of his own in one, and send none twice for another link', () => {
  const first = person('k0', { epoch: 1 });
  const late = person('g9');
  for (const one of [first, late]) one.introductions.admit([newcomer('g9', null)]);
  const hello = opened(late.introductions.greetings()[0]!);
  const changed = { ...hello, greeting: { ...hello.greeting, key: keys('mallory').publicKey } };
  expect(() => first.introductions.receive(changed, 1)).toThrow(
    expect.objectContaining({ code: 'SIGNATURE_INVALID' }),
  );
  const welcome = opened(first.introductions.receive(hello, 1)!);
  const moved = { ...welcome, greeting: { ...welcome.greeting, epoch: 7 } };
  for (const one of [moved, { ...moved, signature: hello.signature }]) {
    expect(() => late.introductions.receive(one as typeof welcome, 9)).toThrow(
      expect.objectContaining({ code: 'SIGNATURE_INVALID' }),
    );
  }
  // Signed by the keeper, of an epoch in which nobody else is.
  const ahead = signGreeting({ ...welcome.greeting, epoch: 7 } as never, identity('k0'));
  expect(() => late.introductions.receive(opened(ahead), 1)).toThrow(
    expect.objectContaining({ code: 'FRAME_REFUSED' }),
  );
  late.introductions.receive(welcome, 1);
  expect(() => late.introductions.receive(welcome, 1)).toThrow(
    expect.objectContaining({ code: 'FRAME_REFUSED' }),
  );
  // The same newcomer under another key, as from a copy of its folder.
  const other = signGreeting({ ...hello.greeting, key: keys('copy').publicKey } as never, identity('g9'));
  expect(() => first.introductions.receive(opened(other), 1)).toThrow(
    expect.objectContaining({ code: 'FRAME_REFUSED' }),
  );
  expect(checkGreeting(welcome)).toBeUndefined();
});

test('no link comes of two who see the newcomer in different places', () => {
  const first = person('k0', { epoch: 1 });
  const late = person('k9');
  first.introductions.admit([newcomer('k9', 1)]);
  late.introductions.admit([newcomer('k9', 2)]);
  expect(() => meet(late, [first], 1)).toThrow(expect.objectContaining({ code: 'FRAME_REFUSED' }));
  expect(secretWith(late, 'k0')).toBeUndefined();
});

describe('a keeper that came later is told of its stage once a first holder of each other stage', () => {
  const shown = (late: Person, to: Person) => {
    const all = late.introductions.vouched().map(opened);
    return all.find(({ greeting }) => greeting.to === idOf(to.name))!;
  };

  /** All that the newcomer has to do with, the newcomer last: it has greeted those that are named. */
  function greeted(names: readonly string[], came = [newcomer('k9', 1)]) {
    const all = ['k0', 'k1', 'k2', 's1'].map((name) => person(name));
    const late = person('k9');
    for (const one of [...all, late]) one.introductions.admit(came);
    meet(
      late,
      all.filter(({ name }) => names.includes(name)),
      0,
    );
    return { keeper: all[1]!, all, late };
  }

  test('showed that it knows it, also where both were started again in between', () => {
    const { keeper, late } = greeted(['k0', 'k1', 'k2', 's1']);
    expect(keeper.introductions.isVouchedFor(idOf('k9'))).toBe(false);
    const again = person('k9', { memory: late.introductions.memory() });
    again.links.restore(late.links.memory());
    keeper.introductions.receive(shown(again, keeper), 0);
    const restarted = person('k1', { memory: keeper.introductions.memory() });
    for (const one of [keeper, restarted]) expect(one.introductions.isVouchedFor(idOf('k9'))).toBe(true);
    // Who was there from the beginning needs nobody.
    expect(keeper.introductions.isVouchedFor(idOf('s1'))).toBe(true);
  });

  test.each([['k0'], ['k2']])('showed that, and not %s alone', (name) => {
    const { keeper, late } = greeted(['k1', 's1', name]);
    keeper.introductions.receive(shown(late, keeper), 0);
    expect(keeper.introductions.isVouchedFor(idOf('k9'))).toBe(false);
  });

  test('showed that, newcomers of other stages none of the two', () => {
    const came = [newcomer('k7', 0), newcomer('k9', 1)];
    const { keeper, late } = greeted(['k1', 'k2'], came);
    const other = person('k7');
    other.introductions.admit(came);
    meet(late, [other], 0);
    expect(secretWith(late, 'k7')).toBeDefined();
    keeper.introductions.receive(shown(late, keeper), 0);
    expect(keeper.introductions.isVouchedFor(idOf('k9'))).toBe(false);
  });

  test('showed that, and may be told a share of it by holders of others once the rest of them did', () => {
    for (const [names, is] of [
      [['k0', 'k1'], false],
      [['k0', 'k2'], true],
    ] as const) {
      const { all, late } = greeted(names);
      const other = all[0]!;
      expect(other.introductions.isVouchedFor(idOf('k9'))).toBe(false);
      other.introductions.receive(shown(late, other), 0);
      expect(other.introductions.isVouchedFor(idOf('k9'))).toBe(is);
    }
  });

  test('and the own one showed that, where who is asked came later, too', () => {
    const came = [newcomer('k7', 0), newcomer('k9', 1)];
    const { all, late } = greeted(['k2'], came);
    const other = person('k7');
    other.introductions.admit(came);
    meet(late, [other], 0);
    other.introductions.receive(shown(late, other), 0);
    expect(other.introductions.isVouchedFor(idOf('k9'))).toBe(false);
    meet(late, [all[0]!], 0);
    other.introductions.receive(shown(late, other), 0);
    expect(other.introductions.isVouchedFor(idOf('k9'))).toBe(true);
  });

  test('showed that, unless it is on a list that was agreed upon otherwise', () => {
    const keeper = person('k1', { late: { ...LATE, accepts: () => true } });
    keeper.introductions.admit([newcomer('k9', 1)]);
    expect(keeper.introductions.isVouchedFor(idOf('k9'))).toBe(true);
  });

  test('showed that, and takes no greeting for one that is of another stage, for somebody else, of another run, or forged', () => {
    const { keeper, late } = greeted(['k0', 'k1', 'k2']);
    const { greeting } = shown(late, keeper);
    if (greeting.kind !== 'vouched') throw new Error('nothing was shown');
    const resigned = (change: object, by = 'k0') => {
      const changed = { ...greeting.vouchers[0]!.greeting, ...change };
      return opened(signGreeting(changed as never, identity(by)));
    };
    const tried = (voucher: unknown, code: string) => {
      const bytes = signGreeting({ ...greeting, vouchers: [voucher] } as never, identity('k9'));
      expect(() => keeper.introductions.receive(opened(bytes), 0)).toThrow(expect.objectContaining({ code }));
    };
    tried(resigned({ stage: 2 }), 'FRAME_REFUSED');
    tried(resigned({ to: idOf('g0') }), 'FRAME_REFUSED');
    tried(resigned({ run: 'cd'.repeat(32) }), 'FRAME_REFUSED');
    tried(resigned({ from: idOf('s1') }, 's1'), 'FRAME_REFUSED');
    tried(resigned({}, 'k9'), 'SIGNATURE_INVALID');
    // A newcomer shows what is of itself, and nobody shows it for one.
    const other = signGreeting({ ...greeting, from: idOf('s1') }, identity('s1'));
    expect(() => keeper.introductions.receive(opened(other), 0)).toThrow(
      expect.objectContaining({ code: 'FRAME_REFUSED' }),
    );
    expect(keeper.introductions.isVouchedFor(idOf('k9'))).toBe(false);
  });
});
