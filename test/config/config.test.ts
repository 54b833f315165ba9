import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { configDigest, configYaml, parseConfig } from '../../src/config/config.ts';
import { applyOverride, configFrom, loadConfig } from '../../src/config/load.ts';
import { participationOf, roundGroups } from '../../src/config/round-groups.ts';
import { countUnit, optionsOf, roundPlugins } from '../../src/config/round-plugins.ts';
import { mask } from '../../src/privacy/mask.ts';
import { none } from '../../src/privacy/none.ts';
import { defineProtection, type RunShape } from '../../src/privacy/protection.ts';
import { PROTECTIONS } from '../../src/privacy/table.ts';
import { fedavg } from '../../src/strategy/fedavg.ts';
import { defineStrategy } from '../../src/strategy/strategy.ts';
import { STRATEGIES } from '../../src/strategy/table.ts';
import { installedDevices } from '../../src/training/device.ts';

/** The least that a configuration must say. */
const LEAST = 'data: { survey: nonvoters, groups: { training: 14, unseen: 7 } }\n';

/** With a protection that takes any number of groups. */
const configOf = (...overrides: readonly string[]) =>
  configFrom(LEAST, 'test.yaml', ['protection.name=none', ...overrides]);

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (thrown) {
    return thrown;
  }
  return undefined;
}

const refusalOf = (text: string, ...overrides: readonly string[]) =>
  thrownBy(() => configFrom(text, 'test.yaml', overrides));

describe('unknown keys', () => {
  test.each([
    ['sed=1', 'sed', 'Did you mean "seed"?'],
    ['trainning.rounds=1', 'trainning', 'Did you mean "training"?'],
    ['training.learningrate=1', 'training.learningrate', 'Did you mean "learningRate"?'],
    ['training.temperature=1', 'training.temperature', expect.stringContaining('Known: rounds, localSteps')],
    ['data.surveys=x', 'data.surveys', 'Did you mean "survey"?'],
    ['data.groups.trainig=1', 'data.groups.trainig', 'Did you mean "training"?'],
    ['evaluation.draw=1', 'evaluation.draw', 'Did you mean "draws"?'],
    ['runtime.divice=cpu', 'runtime.divice', 'Did you mean "device"?'],
    ['predictor.layer=2', 'predictor.layer', 'Did you mean "layers"?'],
    ['strategy.weightng=equal', 'strategy.weightng', 'Did you mean "weighting"?'],
    ['features.sed=2', 'features.sed', 'Did you mean "seed"?'],
    ['protection.clip=1', 'protection.clip', 'Remove it: nothing can be set here.'],
  ])('%s is CONFIG_UNKNOWN_KEY with the nearest known one', (override, key, hint) => {
    expect(thrownBy(() => configOf(override))).toMatchObject({
      code: 'CONFIG_UNKNOWN_KEY',
      message: `unknown key "${key}"`,
      hint,
    });
  });

  test.each([
    ['__proto__.polluted=1', '__proto__'],
    ['training.__proto__.rounds=1', 'training.__proto__'],
    ['features.__proto__.a=1', 'features.__proto__'],
    ['data.options.__proto__=1', 'data.options.__proto__'],
  ])('%s is refused by name and pollutes nothing', (override, key) => {
    expect(thrownBy(() => configOf(override))).toMatchObject({
      code: 'CONFIG_UNKNOWN_KEY',
      message: `unknown key "${key}"`,
    });
    expect(refusalOf(`${LEAST}predictor: { name: gpo, __proto__: { layers: 1 } }`)).toMatchObject({
      message: 'unknown key "predictor.__proto__"',
    });
    expect(Object.keys(Object.prototype)).toEqual([]);
  });

  test('names that every object has are no known keys', () => {
    expect(thrownBy(() => configOf('constructor=1'))).toMatchObject({ code: 'CONFIG_UNKNOWN_KEY' });
    expect(thrownBy(() => configOf('predictor.toString=1'))).toMatchObject({ code: 'CONFIG_UNKNOWN_KEY' });
  });
});

describe('wrong values', () => {
  test.each([
    ['seed=x', /^seed: .*expected number, received string/],
    ['seed=-1', /^seed: .*>=0/],
    ['seed=1.5', /^seed: .*expected int/],
    ['training.rounds=0', /^training\.rounds: .*>=1/],
    ['training.learningRate=0', /^training\.learningRate: .*>0/],
    ['training.learningRate=.nan', /^training\.learningRate: .*NaN/],
    ['training.learningRate=.inf', /^training\.learningRate: /],
    ['training.contextQuestions=[20,10]', /^training\.contextQuestions: the first number must not exceed/],
    ['training.contextQuestions=[20]', /^training\.contextQuestions: /],
    ['training.schedule=cosin', /^training\.schedule: .*"constant"\|"cosine"/],
    ['training=3', /^training: .*expected object/],
    ['data.heldOutQuestions=1', /^data\.heldOutQuestions: .*<=0\.9/],
    ['data.groups.training=many', /^data\.groups\.training: expected a number of groups.* or a list/],
    ['data.groups.training=[]', /^data\.groups\.training: /],
    ['runtime.workers=all', /^runtime\.workers: expected "auto" or a number from 1 to 256/],
    ['compare=[centralized]', /^compare\.0: .*"centralised"/],
    ['predictor.layers=two', /^predictor\.layers: .*expected number/],
    ['predictor.norm=both', /^predictor\.norm: .*"post"\|"pre"/],
    ['strategy.weighting=points', /^strategy\.weighting: .*"questions"\|"equal"/],
    ['name=', /^name: .*received null/],
  ])('%s is CONFIG_INVALID, and says where and what is expected', (override, message) => {
    expect(thrownBy(() => configOf(override))).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(message),
      hint: expect.any(String),
    });
  });

  test.each([
    ['strategy.name=fedavgg', 'strategy', 'fedavg'],
    ['protection.name=nome', 'protection', 'none'],
    ['predictor.name=gpt', 'predictor', 'gpo'],
    ['features.name=lexicl', 'features provider', 'lexical'],
  ])('%s is CONFIG_INVALID with the nearest plug-in', (override, what, nearest) => {
    expect(thrownBy(() => configOf(override))).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(`there is no ${what} "`),
      hint: `Did you mean "${nearest}"?`,
    });
  });

  test('a device that is not there is DEVICE_UNAVAILABLE', () => {
    expect(thrownBy(() => configOf('runtime.device=abacus'))).toMatchObject({ code: 'DEVICE_UNAVAILABLE' });
  });

  test('nothing at all says what is missing', () => {
    expect(refusalOf('')).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/^data: /),
    });
    expect(thrownBy(() => parseConfig(null))).toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

describe('values that do not fit together', () => {
  const GROUPS = 'groups: { training: 3, unseen: 1 }';

  test('survey and path: one of them, not both', () => {
    expect(refusalOf(`data: { ${GROUPS} }`)).toMatchObject({ code: 'CONFIG_CONFLICT' });
    const both = `data: { survey: nonvoters, path: a.csv, ${GROUPS} }`;
    expect(refusalOf(both)).toMatchObject({
      code: 'CONFIG_CONFLICT',
      message: expect.stringContaining('"path"'),
    });
    expect(configFrom(`data: { path: a.csv, ${GROUPS} }`, 'test.yaml').data.path).toBe('a.csv');
  });

  describe('a strategy that needs each update and a protection that shows only the sum', () => {
    const median = defineStrategy({
      ...fedavg,
      name: 'median',
      needs: 'rows',
      create: () => fedavg.create({}),
    });
    const hidden = { ...PROTECTIONS[0]!, name: 'hidden', reveals: 'sum' as const };
    const tables = [STRATEGIES, PROTECTIONS] as unknown as [(typeof median)[], (typeof hidden)[]];
    const lengths = tables.map(({ length }) => length);
    afterEach(() => {
      for (const [index, table] of tables.entries()) table.splice(lengths[index]!);
    });

    test('is CONFIG_CONFLICT and says what to choose instead; either one alone is fine', () => {
      tables[0].push(median);
      tables[1].push(hidden);
      expect(configOf('strategy.name=median').strategy.name).toBe('median');
      expect(configOf('protection.name=hidden').protection.name).toBe('hidden');
      expect(thrownBy(() => configOf('strategy.name=median', 'protection.name=hidden'))).toMatchObject({
        code: 'CONFIG_CONFLICT',
        message: expect.stringMatching(/"median" needs each update.*"hidden" reveals only their sum/),
        hint: expect.stringContaining('fedavg'),
      });
    });
  });
});

describe('overrides', () => {
  test('are read as YAML, go into what is there, and the last one counts', () => {
    const config = configOf(
      'training.rounds=3',
      'training.rounds=4',
      'training.contextQuestions=[2, 5]',
      'data.groups.training=[a, b]',
      'name=a=b',
      'compare=[]',
    );
    expect(config.training).toMatchObject({ rounds: 4, localSteps: 6, contextQuestions: [2, 5] });
    expect(config.data.groups).toEqual({ training: ['a', 'b'], unseen: 7 });
    expect(config).toMatchObject({ name: 'a=b', compare: [] });
  });

  test('of a plug-in’s option need not name the plug-in again', () => {
    expect(configOf('predictor.layers=2').predictor).toMatchObject({ name: 'gpo', layers: 2 });
    expect(configOf('strategy.weighting=equal').strategy).toEqual({ name: 'fedavg', weighting: 'equal' });
  });

  test.each(['rounds', '=3', '.=3', 'training.=3', '.rounds=3', 'training..rounds=3', ''])(
    '"%s" is not of the form key=value',
    (override) => {
      expect(thrownBy(() => configOf(override))).toMatchObject({
        code: 'USAGE',
        message: expect.stringContaining(`"${override}"`),
      });
    },
  );

  test('may name a plug-in alone: its options are then those of nobody else', () => {
    expect(configOf('strategy.weighting=equal', 'strategy=fedavg').strategy).toEqual(configOf().strategy);
    expect(configOf('predictor=gpo').predictor).toEqual(configOf().predictor);
    expect(thrownBy(() => configOf('protection=seel'))).toMatchObject({
      code: 'CONFIG_INVALID',
      hint: expect.stringContaining('seal'),
    });
  });

  test('with a value that is no YAML is CONFIG_INVALID and named', () => {
    expect(thrownBy(() => configOf('compare=[a'))).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/^compare=\[a: /),
    });
  });

  test('change nothing but the key that they name', () => {
    const raw = { training: { rounds: 1, localSteps: 2 }, seed: 3 };
    applyOverride(raw, 'training.rounds=9');
    applyOverride(raw, 'evaluation.every=2');
    expect(raw).toEqual({ training: { rounds: 9, localSteps: 2 }, seed: 3, evaluation: { every: 2 } });
  });
});

describe('files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pluralllm-config-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('are read with overrides; a missing one is FILE_NOT_FOUND', () => {
    const path = join(folder, 'a.yaml');
    writeFileSync(path, LEAST);
    expect(loadConfig(path, ['seed=4']).seed).toBe(4);
    expect(thrownBy(() => loadConfig(join(folder, 'b.yaml')))).toMatchObject({ code: 'FILE_NOT_FOUND' });
  });

  test.each([
    ['a bracket that is not closed', 'data: { survey: x'],
    ['tabs as indentation', 'data:\n\tsurvey: x'],
    ['a key twice', `${LEAST}seed: 1\nseed: 2`],
    ['two documents', `${LEAST}---\nseed: 1`],
    ['an alias without an anchor', `${LEAST}name: *x`],
    [
      'aliases that multiply',
      `a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c]`,
    ],
    ['a list', '- data'],
    ['a text', 'data'],
  ])('with %s are CONFIG_INVALID, and the message names the file', (_, text) => {
    expect(refusalOf(text)).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/^test\.yaml: /),
      hint: expect.any(String),
    });
  });

  const CONFIGS = fileURLToPath(new URL('../../configs', import.meta.url));
  test.each(readdirSync(CONFIGS).filter((name) => /\.ya?ml$/.test(name)))('configs/%s is valid', (name) => {
    // A configuration for data that cannot be shipped leaves the path to the command line.
    const raw: { data?: { survey?: string } } = parse(readFileSync(join(CONFIGS, name), 'utf8'));
    const overrides = raw.data?.survey === undefined ? ['data.path=downloaded.csv'] : [];
    const config = loadConfig(join(CONFIGS, name), overrides);
    expect(config.training.rounds).toBeGreaterThan(0);
    expect(() => roundPlugins(config, 10, { size: 5, counted: null })).not.toThrow();
  });
});

describe('what spoils counts of rows, or makes them tell of single groups', () => {
  test.each([
    ['a bound on the norm of updates', 'protection={ name: mask, clipNorm: 1 }'],
    ['weights that follow from scores: qfedavg', 'strategy={ name: qfedavg }'],
    ['weights that follow from scores: adaptive', 'strategy={ name: adaptive }'],
    ['rounds of some groups', 'round.participation=0.5'],
  ])('is CONFIG_CONFLICT: %s; without counts it is fine', (_, override) => {
    const made = (predictor: string) => () => configOf(`predictor=${predictor}`, override);
    for (const counting of ['{ name: factor }', '{ name: plural, leastGroups: 1 }']) {
      expect(made(counting)).toThrow(
        expect.objectContaining({ code: 'CONFIG_CONFLICT', hint: expect.stringContaining('leastGroups') }),
      );
    }
    expect(made('{ name: factor, leastGroups: null }')).not.toThrow();
    expect(made('{ name: gpo }')).not.toThrow();
  });

  test('a group counts as the largest change that the grid has, so that rounding makes it no other', () => {
    const training = 'training={ localSteps: 2, learningRate: 0.1 }';
    const unitOf = (protection: string) =>
      countUnit(configOf('predictor=factor', training, `protection=${protection}`));
    expect(unitOf('{ name: mask, bits: 4 }')).toBeCloseTo(0.2, 12);
    expect(unitOf('{ name: mask, bits: 4, clipValue: 3 }')).toBe(3);
    expect(unitOf('{ name: mask, clipValue: 0.01 }')).toBe(0.01);
  });
});

describe('what moves parameters that nothing trains', () => {
  const privacy = 'protection={ name: mask, clipNorm: 0.01, differentialPrivacy: { epsilon: 8 } }';
  test.each([
    ['weight decay', ['training.weightDecay=0.01']],
    ['noise', [privacy, 'strategy.weighting=equal']],
  ])('is CONFIG_CONFLICT with the staged transformer, and fine with gpo: %s', (_, overrides) => {
    const made = (predictor: string) => () => configOf(`predictor={ name: ${predictor} }`, ...overrides);
    expect(made('gpo')).not.toThrow();
    expect(made('staged')).toThrow(
      expect.objectContaining({ code: 'CONFIG_CONFLICT', message: expect.stringContaining('"staged"') }),
    );
  });
});

describe('a sharded run', () => {
  const sharded = (...overrides: readonly string[]) =>
    thrownBy(() => configOf('predictor=staged', 'sharding={}', ...overrides));

  test('has epochs of a round and frames of float32 where nothing is said, and a digest of its own', () => {
    expect(sharded()).toBeUndefined();
    const { sharding } = configOf('predictor=staged', 'sharding={}');
    const simulated = { epochRounds: 1, frames: 'float32', cutNoise: 0 };
    const deployed = { standbys: 0, patienceSeconds: 20, queriesPerRound: 1000 };
    const late = { lateKeepers: 0, lateGroups: 16 };
    expect(sharding).toEqual({ ...simulated, ...deployed, ...late });
    const digestOf = (...overrides: readonly string[]) =>
      configDigest(configOf('predictor=staged', ...overrides));
    expect(digestOf('sharding={}')).not.toBe(digestOf());
    expect(digestOf('sharding=null')).toBe(digestOf());
  });

  test.each([
    ['a predictor without stages', 'sharding', ['predictor=gpo']],
    ['a proximal term', 'sharding', ['strategy={ name: fedprox }']],
    [
      'noise for privacy',
      '"staged"',
      [
        'protection={ name: mask, clipNorm: 0.01, differentialPrivacy: { epsilon: 8 } }',
        'strategy.weighting=equal',
      ],
    ],
  ])('is CONFIG_CONFLICT with %s', (_, named, overrides) => {
    expect(sharded(...overrides)).toMatchObject({
      code: 'CONFIG_CONFLICT',
      message: expect.stringContaining(named),
    });
  });
});

test('mask has 4 bits and more, seal 8', () => {
  expect(thrownBy(() => configOf('protection={ name: mask, bits: 4 }'))).toBeUndefined();
  expect(thrownBy(() => configOf('protection={ name: mask, bits: 3 }'))).toMatchObject({
    code: 'CONFIG_INVALID',
  });
  expect(thrownBy(() => configOf('protection={ name: seal, bits: 7 }'))).toMatchObject({
    code: 'CONFIG_INVALID',
  });
});

describe('the number of groups under protection "mask"', () => {
  const masked = (...overrides: readonly string[]) => configOf('protection.name=mask', ...overrides);

  test('is fine between the fewest and the most', () => {
    for (const count of [3, 14, 128]) {
      const config = masked(`data.groups.training=${count}`);
      const { protection } = roundPlugins(config, 10, { size: 5, counted: null });
      expect(protection).toMatchObject({ name: 'mask', reveals: 'sum', groups: { least: 3, most: 128 } });
    }
    expect(() => masked('data.groups.training=[a, b, c]')).not.toThrow();
    expect(() => masked('round.quorum=3')).not.toThrow();
    expect(() => masked('data.groups.training=200', 'protection.mostGroups=200')).not.toThrow();
  });

  test.each([
    ['data.groups.training is 2', ['data.groups.training=2']],
    ['data.groups.training is 2', ['data.groups.training=[a, b]']],
    ['round.quorum is 2', ['round.quorum=2']],
    ['data.groups.training is 4', ['data.groups.training=4', 'protection.leastGroups=5']],
    ['round.quorum is 4', ['round.quorum=4', 'protection.leastGroups=5']],
  ])('that is too small is CONFIG_CONFLICT: %s', (what, overrides) => {
    expect(thrownBy(() => masked(...overrides))).toMatchObject({
      code: 'CONFIG_CONFLICT',
      message: expect.stringContaining(`${what}, protection "mask" needs at least`),
      hint: expect.stringContaining('protection "none"'),
    });
  });

  test('that is too large is CONFIG_CONFLICT, with what to raise', () => {
    for (const overrides of [['data.groups.training=129'], ['protection.mostGroups=13']]) {
      expect(thrownBy(() => masked(...overrides))).toMatchObject({
        code: 'CONFIG_CONFLICT',
        message: expect.stringContaining('has room for'),
        hint: 'Raise protection.mostGroups.',
      });
    }
  });

  test('does not matter without protection', () => {
    for (const count of [1, 1000]) expect(() => configOf(`data.groups.training=${count}`)).not.toThrow();
  });

  test('an option that would overflow is CONFIG_INVALID, and says what to lower', () => {
    expect(thrownBy(() => masked('protection.bits=24', 'protection.mostGroups=257'))).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('lower bits or mostGroups'),
    });
  });
});

describe('rounds that ask some of the groups', () => {
  const some = (...overrides: string[]) =>
    configOf('protection=mask', 'round.participation=0.4', ...overrides);

  test('ask the share rounded up, at least as many as the protection needs', () => {
    const asked = (...overrides: string[]) => {
      const config = some(...overrides);
      return roundGroups(config, roundPlugins(config, 10, { size: 5, counted: null }).protection);
    };
    expect(asked()).toBe(6);
    expect(asked('round.participation=1')).toBe(14);
    expect(asked('round.participation=0.1')).toBe(3);
    expect(asked('round.participation=0.1', 'protection.leastGroups=4')).toBe(4);
    // A sum has room for all who may be asked: whoever is enrolled.
    expect(thrownBy(() => asked('data.groups.training=300'))).toMatchObject({ code: 'CONFIG_CONFLICT' });
  });

  test('are drawn by the seed of the run, and begin when all training groups are there', () => {
    expect(participationOf(some('seed=7'))).toEqual({ seed: 7, share: 0.4, begin: 14 });
    expect(participationOf(configOf())).toBeNull();
  });

  test.each([
    ['a quorum that no round reaches', ['round.quorum=7'], 'a round asks 6 groups'],
    [
      'a key holder who may not be drawn',
      ['protection={ name: seal-single, keyHolder: a }'],
      'whom it names',
    ],
    [
      'a committee whose members may not be drawn',
      ['protection={ name: seal, committee: { members: [a, b, c], threshold: 2 } }'],
      'whom it names',
    ],
    ['more groups than the sum has room for', ['data.groups.training=400'], 'has room for 128 groups'],
  ])('are refused with %s', (_, overrides, message) => {
    expect(thrownBy(() => some(...overrides))).toMatchObject({
      code: 'CONFIG_CONFLICT',
      message: expect.stringContaining(message),
    });
  });

  test('go with a quorum of all that a round asks, and with a committee of those who are there', () => {
    expect(() => some('round.quorum=6')).not.toThrow();
    expect(() => some('protection=seal')).not.toThrow();
  });

  test.each(['0', '1.1', 'half'])('a share of %s is CONFIG_INVALID', (share) => {
    expect(thrownBy(() => some(`round.participation=${share}`))).toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

describe('rounds that send a part of the parameters', () => {
  test.each(['fedopt', 'diloco'])('are refused with %s, whose momentum moves the others', (name) => {
    expect(() => configOf(`strategy=${name}`)).not.toThrow();
    expect(thrownBy(() => configOf(`strategy=${name}`, 'updates.parts=2'))).toMatchObject({
      code: 'CONFIG_CONFLICT',
      message: expect.stringContaining(`updates.parts is 2, but strategy "${name}" moves`),
      hint: expect.stringContaining('updates.parts=1'),
    });
  });

  test('go with all others, with every protection, and with noise', () => {
    for (const strategy of ['fedavg', 'fedprox', 'qfedavg', 'adaptive'])
      expect(() =>
        configOf(`strategy=${strategy}`, 'updates.parts=1024', 'training.rounds=1024'),
      ).not.toThrow();
    const noisy = 'protection={ name: mask, clipNorm: 0.01, differentialPrivacy: { epsilon: 8 } }';
    for (const protection of ['protection=seal', noisy])
      expect(() => configOf('strategy.weighting=equal', protection, 'updates.parts=4')).not.toThrow();
  });

  test('have replies as long as the longest part', () => {
    const bytes = (parts: number) =>
      roundPlugins(configOf(`updates.parts=${parts}`), 10, { size: 1001, counted: null }).protection
        .replyBytes;
    expect([bytes(1), bytes(4)]).toEqual([8 + 4 * 1001, 8 + 4 * 251]);
  });

  test('are at least as many as there are parts: otherwise some would never be sent', () => {
    const made = (parts: number, rounds: number) => () =>
      configOf(`updates.parts=${parts}`, `training.rounds=${rounds}`);
    for (const [parts, rounds] of [
      [1, 1],
      [7, 7],
      [7, 8],
    ] as const)
      expect(made(parts, rounds)).not.toThrow();
    for (const parts of [8, 1024]) {
      expect(thrownBy(made(parts, 7))).toMatchObject({
        code: 'CONFIG_CONFLICT',
        message: expect.stringMatching(new RegExp(`updates.parts is ${parts}, but training.rounds is 7`)),
        hint: `Set updates.parts to at most 7, or training.rounds to at least ${parts}.`,
      });
    }
  });

  test.each(['0', '1025', '1.5'])('%s parts are CONFIG_INVALID', (parts) => {
    expect(thrownBy(() => configOf(`updates.parts=${parts}`))).toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

describe('strategies beside the rest', () => {
  const NOISE = [
    'protection={ name: mask, clipNorm: 0.01, differentialPrivacy: { epsilon: 8, delta: 1e-5 } }',
  ];

  test.each(['qfedavg', 'adaptive'])('%s weighs by scores, which noise keeps from everybody', (name) => {
    const chosen = `strategy={ name: ${name}, weighting: equal }`;
    expect(() => configOf(chosen, 'protection=mask')).not.toThrow();
    expect(thrownBy(() => configOf(chosen, ...NOISE))).toMatchObject({
      code: 'CONFIG_CONFLICT',
      message: expect.stringContaining(`strategy "${name}" weighs groups by their scores`),
      hint: expect.stringContaining('"fedavg"'),
    });
  });

  test.each(['fedprox', 'fedopt', 'diloco'])('%s goes with noise where weights are equal', (name) => {
    expect(() => configOf(`strategy={ name: ${name}, weighting: equal }`, ...NOISE)).not.toThrow();
    expect(thrownBy(() => configOf(`strategy=${name}`, ...NOISE))).toMatchObject({
      code: 'CONFIG_CONFLICT',
      hint: 'Set strategy.weighting=equal.',
    });
  });

  test.runIf(installedDevices().includes('webgpu'))(
    'fedprox is refused on webgpu, which takes the whole step',
    () => {
      expect(thrownBy(() => configOf('strategy=fedprox', 'runtime.device=webgpu'))).toMatchObject({
        code: 'CONFIG_CONFLICT',
        message: expect.stringContaining('proximal term'),
        hint: expect.stringContaining('runtime.device=cpu'),
      });
      expect(() => configOf('strategy=diloco', 'runtime.device=webgpu')).not.toThrow();
    },
  );

  test('protections are told bounds of the weights that the strategy gives, and never that those by score are equal', () => {
    const shapes: RunShape[] = [];
    const watching = defineProtection({
      ...none,
      name: 'watching',
      create: (_options, shape) => {
        shapes.push(shape);
        return none.create({}, shape);
      },
    });
    const table = PROTECTIONS as unknown as (typeof watching)[];
    table.push(watching);
    try {
      for (const { name } of STRATEGIES) {
        for (const weighting of ['equal', 'questions']) {
          const config = configOf(
            `strategy={ name: ${name}, weighting: ${weighting} }`,
            'protection=watching',
          );
          const { strategy } = roundPlugins(config, 40, { size: 10, counted: null });
          const { mostWeight, equalWeights } = shapes.at(-1)!;
          expect(mostWeight).toBe(weighting === 'equal' ? 1 : 40);
          expect(equalWeights).toBe(weighting === 'equal' && !strategy.scores);
        }
      }
    } finally {
      table.pop();
    }
  });
});

describe('an aggregator that holds ciphertext', () => {
  test.each(['seal', '{ name: seal-single, keyHolder: a }'])('goes with protection %s', (protection) => {
    const config = configOf(`protection=${protection}`, 'aggregator.holds=ciphertext');
    expect(config.aggregator).toEqual({ holds: 'ciphertext', readers: null });
  });

  test.each(['mask', 'none'])('is refused with protection %s, with what to choose', (name) => {
    const refused = () => configOf(`protection=${name}`, 'aggregator.holds=ciphertext');
    expect(refused).toThrow(
      expect.objectContaining({
        code: 'CONFIG_CONFLICT',
        message: `aggregator.holds is ciphertext, but under protection "${name}" the aggregator itself opens what it adds up`,
        hint: 'Choose protection "seal", or aggregator.holds=clear.',
      }),
    );
  });

  test("a readers' key that nobody would use is refused, and a fingerprint that is none", () => {
    const named = (digest: string, ...more: string[]) =>
      configOf('protection=seal', `aggregator.readers=${digest}`, ...more);
    const unused = { code: 'CONFIG_CONFLICT', message: expect.stringContaining('has no effect') };
    expect(() => named('ab'.repeat(32))).toThrow(expect.objectContaining(unused));
    const malformed = { code: 'CONFIG_INVALID', message: expect.stringContaining('aggregator.readers') };
    expect(() => named('AB'.repeat(32), 'aggregator.holds=ciphertext')).toThrow(
      expect.objectContaining(malformed),
    );
  });
});

test('the plug-ins of a round know the largest weight and about how far a round can move a parameter', () => {
  const config = configOf('protection.name=mask', 'training.localSteps=5', 'training.learningRate=0.002');
  const shapes: unknown[] = [];
  const watched = defineProtection({
    ...mask,
    name: 'watched',
    options: mask.options,
    create: (options, shape) => {
      shapes.push(shape);
      return mask.create(options, shape);
    },
  });
  const table = PROTECTIONS as unknown[];
  table.push(watched);
  try {
    roundPlugins({ ...config, seed: 8, protection: { ...config.protection, name: 'watched' } }, 37, {
      size: 5,
      counted: null,
    });
  } finally {
    table.pop();
  }
  expect(shapes).toEqual([
    {
      rounds: config.training.rounds,
      parameters: 5,
      mostWeight: 37,
      equalWeights: false,
      reach: expect.closeTo(0.01, 12),
      seed: 8,
      holds: 'clear',
    },
  ]);
});

describe('a checked configuration', () => {
  test('has every default filled in, also those of the plug-ins', () => {
    const config = configFrom(LEAST, 'test.yaml');
    expect(config).toMatchObject({ seed: 0, output: null, runtime: { device: 'auto', workers: 'auto' } });
    expect(config.predictor).toMatchObject({ name: 'gpo', width: 128, layers: 6, stdFloor: 0.01 });
    expect(config.strategy).toEqual({ name: 'fedavg', weighting: 'questions' });
    expect(optionsOf(config.strategy)).toEqual({ weighting: 'questions' });
    const { strategy, protection } = roundPlugins(config, 10, { size: 5, counted: null });
    expect([strategy.name, protection.name]).toEqual(['fedavg', 'mask']);
  });

  test('as YAML is read back as the same configuration with the same digest', () => {
    const config = configOf('data.groups.training=[a, b]', 'predictor.layers=2', 'training.weightDecay=0.1');
    const again = configFrom(configYaml(config), 'frozen.yaml');
    expect(again).toEqual(config);
    expect(configDigest(again)).toBe(configDigest(config));
  });
});

/** Paths of all single values of a configuration, as overrides name them. */
function leavesOf(value: unknown, path: readonly string[] = []): string[] {
  const isBranch =
    typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0;
  return isBranch
    ? Object.entries(value).flatMap(([key, member]) => leavesOf(member, [...path, key]))
    : [path.join('.')];
}

describe('the digest', () => {
  /** The schedule that reads every key of its section. */
  const scheduled = (...overrides: readonly string[]) =>
    configOf('training.schedule=warmup-cosine', ...overrides);
  const base = scheduled();

  /** Another allowed value of every key; a key that is missing here fails the test below. */
  const OTHER: Readonly<Record<string, string>> = {
    name: 'other',
    seed: '1',
    'data.survey': 'elsewhere',
    'data.format': 'csv',
    'data.options': '{ a: 1 }',
    'data.groups.training': '13',
    'data.groups.unseen': '[a]',
    'data.splitSeed': '0',
    'data.heldOutQuestions': '0.2',
    'features.optionComponents': '8',
    'features.questionComponents': '8',
    'features.projection': '8',
    'features.seed': '8',
    'predictor.width': '64',
    'predictor.layers': '2',
    'predictor.heads': '2',
    'predictor.feedforward': '64',
    'predictor.embedderLayers': '3',
    'predictor.norm': 'pre',
    'predictor.loss': 'kl',
    'predictor.stdFloor': '0',
    'predictor.identicalLayers': 'true',
    'training.rounds': '3',
    'training.localSteps': '3',
    'training.learningRate': '0.1',
    'training.schedule': 'cosine',
    'training.warmupSteps': '3',
    'training.cosineSteps': '3',
    'training.weightDecay': '0.1',
    'training.contextQuestions': '[1, 2]',
    'training.targetQuestions': '[1, 2]',
    'round.participation': '0.5',
    'round.quorum': '3',
    'round.deadlineSeconds': '60',
    'updates.parts': '4',
    'strategy.weighting': 'equal',
    'evaluation.every': '3',
    'evaluation.contextQuestions': '3',
    'evaluation.draws': '3',
    compare: '[]',
    'runtime.workers': '2',
    'runtime.features': 'float16',
    output: 'elsewhere',
  };

  /** There is only one plug-in of some kinds, another has other options, the CPU is the one device that is everywhere, a path excludes a survey. */
  const SINGLE = [
    'data.path',
    'features.name',
    'predictor.name',
    'strategy.name',
    'protection.name',
    'runtime.device',
    'aggregator.holds',
    'aggregator.readers',
    // Only with the predictor that it needs: tested with it.
    'sharding',
  ];
  const IGNORED = [
    'name',
    'output',
    'round.deadlineSeconds',
    'round.quorum',
    'runtime.features',
    'runtime.workers',
  ];

  test('ignores name, output, workers, what the CPU has no use for, and how deployed rounds wait, and no other key', () => {
    const keys = leavesOf(base).filter((key) => !SINGLE.includes(key));
    expect(keys.filter((key) => !(key in OTHER))).toEqual([]);
    const ignored = keys.filter(
      (key) => configDigest(scheduled(`${key}=${OTHER[key]}`)) === configDigest(base),
    );
    expect(ignored.sort()).toEqual([...IGNORED].sort());
  });

  test('does not count who reads the models: they are the same', () => {
    const sealed = configDigest(scheduled('protection=seal'));
    const held = ['protection=seal', 'aggregator.holds=ciphertext'];
    expect(configDigest(scheduled(...held))).toBe(sealed);
    expect(configDigest(scheduled(...held, `aggregator.readers=${'ab'.repeat(32)}`))).toBe(sealed);
  });

  test('does not count where files lie: their content counts, by its own digest', () => {
    const from = (...paths: readonly string[]) => configDigest(scheduled(...paths));
    expect(from('data.survey=null', 'data.path=a.csv')).toBe(from('data.survey=null', 'data.path=b.csv'));
    expect(from('data.survey=surveys/a')).toBe(from('data.survey=surveys/b'));
    expect(from('data.survey=surveys/a')).not.toBe(configDigest(base));
    const vectors = (path: string) => from(`features={ name: arrow, path: ${path} }`);
    expect(vectors('a.arrow')).toBe(vectors('b.arrow'));
  });

  test('counts the device that is used, not how it is called', () => {
    expect(configDigest(scheduled('runtime.device=cpu'))).toBe(configDigest(base));
    const onGpu = (...more: string[]) =>
      configDigest({ ...scheduled(...more), runtime: { ...scheduled(...more).runtime, device: 'webgpu' } });
    expect(onGpu()).not.toBe(configDigest(base));
    expect(onGpu('runtime.features=float16')).not.toBe(onGpu());
    const { runtime } = base;
    const elsewhere = scheduled('runtime.device=auto');
    expect(elsewhere.runtime).toEqual(runtime);
  });

  test('counts the plug-ins', () => {
    const arrow = configOf('features={ name: arrow, path: vectors.arrow }');
    expect(configDigest(arrow)).not.toBe(configDigest(base));
  });

  test('does not depend on the order of keys, and says the same as the frozen YAML', () => {
    const raw: unknown = parse(configYaml(base));
    const reversed = Object.fromEntries(Object.entries(raw as object).reverse());
    expect(configDigest(parseConfig(reversed))).toBe(configDigest(base));
    expect(configDigest(base)).toMatch(/^[0-9a-f]{64}$/);
  });
});
