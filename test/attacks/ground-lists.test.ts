import { describe, expect, test } from 'vitest';
import { sha256 } from '../../src/core/digest.ts';
import { randomStream } from '../../src/core/random.ts';
import { ASSUMED, neighboursOf, planGraph } from '../../src/privacy/mask/graph.ts';
import { Heard } from '../../src/privacy/mask/heard.ts';
import type { Advert } from '../../src/privacy/mask/messages.ts';
import type { Roster } from '../../src/privacy/mask/roster.ts';
import { Cast, confidedBy, namesOf, readWith } from '../support/attacks.ts';

/**
 * The graph follows from the list of participants, which the aggregator writes: it tries lists, each without some honest group,
 * until its own groups are next to the victim. It can do so at its desk.
 */

const GROUPS = namesOf(60);
const VICTIM = 'g30';
const CORRUPT = GROUPS.slice(0, 6);

/** A graph with few neighbours for each, and a threshold that was not made for who grinds. */
class Thin extends Heard {
  protected override rosterFrom(adverts: readonly Advert[]): Roster {
    const roster = super.rosterFrom(adverts);
    // The last draw of a graph is not looked at: any eigenvalue will do.
    const plan = { ...roster.plan, complete: false, degree: 6, threshold: 3, mostEigenvalue: 6 };
    const { groups } = roster;
    return { ...roster, plan, neighbours: neighboursOf(groups, sha256('thin', roster.digest), plan) };
  }
}

const SOMEBODY = new Cast(GROUPS).member(CORRUPT[0]!).heard;

/** The graph of a list, without a look at its signatures. */
class Desk extends Thin {
  readonly #adverts: readonly Advert[];

  constructor(adverts: readonly Advert[]) {
    const { settings, setup } = SOMEBODY;
    super(settings, setup);
    this.#adverts = adverts;
  }

  override roster(): Roster {
    return this.rosterFrom(this.#adverts);
  }
}

/** Lists of 58 of all groups, with the victim and all corrupt ones. */
function* lists(): Generator<string[]> {
  const honest = GROUPS.filter((name) => name !== VICTIM && !CORRUPT.includes(name));
  for (const one of honest) {
    for (const other of honest)
      if (one < other) yield GROUPS.filter((name) => name !== one && name !== other);
  }
}

const corruptNextTo = ({ neighbours }: Pick<Roster, 'neighbours'>, corrupt: readonly string[]) =>
  neighbours.get(VICTIM)!.filter((name) => corrupt.includes(name));

test('in a thin graph a list is soon found whose corrupt groups read the update', () => {
  const all = new Cast(GROUPS).adverts();
  let tried = 0;
  for (const groups of lists()) {
    tried++;
    const options = { heard: () => Thin };
    const adverts = all.filter(({ group }) => groups.includes(group));
    const roster = new Desk(adverts).roster();
    const keepers = corruptNextTo(roster, CORRUPT);
    if (keepers.length < roster.plan.threshold) continue;
    const cast = new Cast(groups, options);
    cast.collect(adverts);
    const { self, mask } = confidedBy(cast, keepers, VICTIM);
    expect(readWith(cast, VICTIM, self, mask)).toEqual(cast.clearWords(VICTIM));
    expect(tried).toBeLessThan(1000);
    return;
  }
  expect.unreachable('no list was found');
});

describe('ours', () => {
  test.each([60, 100])(
    'of %d groups all that are corrupt by assumption are fewer than a threshold',
    (count) => {
      expect(Math.ceil(ASSUMED.corruptShare * count)).toBeLessThan(planGraph(count, ASSUMED).threshold);
    },
  );

  test('of a thousand groups the best of many lists is far from a threshold of corrupt neighbours', () => {
    const count = 1000;
    const groups = namesOf(count).sort();
    const plan = planGraph(count, ASSUMED);
    const corrupt = new Set(
      randomStream(3, 'corrupt')
        .shuffled(groups)
        .slice(0, ASSUMED.corruptShare * count),
    );
    const tries = 20;
    const counts = Array.from({ length: tries }, (_, list) => {
      const neighbours = neighboursOf(groups, sha256(`list ${list}`), plan);
      return groups.map((name) => neighbours.get(name)!.filter((other) => corrupt.has(other)).length);
    }).flat();
    const mean = counts.reduce((sum, each) => sum + each, 0) / counts.length;
    const variance = counts.reduce((sum, each) => sum + (each - mean) ** 2, 0) / counts.length;
    expect(mean).toBeCloseTo(plan.degree * ASSUMED.corruptShare, 0);
    // 20,000 draws reach about four deviations; the threshold is ten or more away.
    expect(Math.max(...counts)).toBeLessThan(mean + 6 * Math.sqrt(variance));
    expect(plan.threshold).toBeGreaterThan(mean + 10 * Math.sqrt(variance));
  });
});
