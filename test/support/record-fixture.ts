import { digestOf } from '../../src/core/digest.ts';
import { randomStream } from '../../src/core/random.ts';
import type { GroupScore, SplitName, Summary } from '../../src/evaluate/evaluation.ts';
import type { CurvePoint, MethodRecord, RunRecord } from '../../src/report/record.ts';

export interface FixtureOptions {
  readonly seed?: number;
  readonly rounds?: number;
  /** Added to the federated score: 0 leaves it behind the group mean, 0.05 puts it ahead. */
  readonly lift?: number;
  readonly unseenQuestions?: boolean;
  readonly reveals?: 'rows' | 'sum';
}

const LOCAL_STEPS = 6;
const TRAINING_GROUPS = 14;
const PARAMETERS = 87_234;
const BYTES_PER_UPDATE = 350_128;

const PARTIES = ['Democrat', 'Independent', 'Republican'];
const CELLS = [
  'Asian or other, any age',
  'Black, 18–34',
  'Black, 35–64',
  'Hispanic, 18–34',
  'White, 18–34',
  'White, 35–64',
  'White, 65 and over',
];

interface Kind {
  readonly id: string;
  readonly label: string;
  readonly sees: string;
  /** Level of the alignment score on each split; null where the method does not apply. */
  readonly level: Readonly<Record<SplitName, number | null>>;
  /** Optimiser steps per round; null for baselines. */
  readonly stepsPerRound: number | null;
  readonly note?: string;
}

const KINDS: readonly Kind[] = [
  {
    id: 'similarity-mean',
    label: 'Similarity-weighted mean of the training groups',
    sees: "every group's answers in clear",
    level: { training: 0.914, unseen: 0.907, 'unseen-questions': null },
    stepsPerRound: null,
  },
  {
    id: 'federated',
    label: 'Federated training',
    sees: 'sums of protected updates',
    level: { training: 0.881, unseen: 0.864, 'unseen-questions': 0.801 },
    stepsPerRound: LOCAL_STEPS,
  },
  {
    id: 'centralised',
    label: 'Centralised training, as many steps',
    sees: "every training group's answers in clear",
    level: { training: 0.886, unseen: 0.868, 'unseen-questions': 0.804 },
    stepsPerRound: LOCAL_STEPS,
  },
  {
    id: 'centralised-round-matched',
    label: 'Centralised training, one step a round',
    sees: "every training group's answers in clear",
    level: { training: 0.829, unseen: 0.816, 'unseen-questions': 0.771 },
    stepsPerRound: 1,
    note: 'Takes a sixth of the steps of federated training; it is the comparison of the paper.',
  },
  {
    id: 'local-only',
    label: 'Local training only',
    sees: 'one group: its own answers',
    level: { training: 0.846, unseen: 0.827, 'unseen-questions': 0.762 },
    stepsPerRound: LOCAL_STEPS,
  },
  {
    id: 'uniform',
    label: 'Uniform distribution',
    sees: 'nothing',
    level: { training: 0.744, unseen: 0.742, 'unseen-questions': 0.739 },
    stepsPerRound: null,
  },
  {
    id: 'group-mean',
    label: 'Mean of the training groups',
    sees: 'the sum of the answers to each question',
    level: { training: 0.873, unseen: 0.867, 'unseen-questions': null },
    stepsPerRound: null,
  },
];

const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;

function summaryOf(scores: readonly GroupScore[]): Summary {
  const values = scores.map(({ alignment }) => alignment);
  const centre = mean(values);
  const cov = Math.sqrt(mean(values.map((v) => (v - centre) ** 2))) / centre;
  return {
    mean: centre,
    worst: Math.min(...values),
    meanOverQuestions: centre + 0.004,
    coefficientOfVariation: cov,
    fairnessIndex: 1 / (1 + cov ** 2),
    questionFairness: 1 / (1 + 1.8 * cov),
    meanDistanceBase2: mean(scores.map(({ distanceBase2 }) => distanceBase2)),
    calibrationError: (1 - centre) / 4,
  };
}

type Summaries = Readonly<Partial<Record<SplitName, Summary>>>;

function summariesOf(scores: readonly GroupScore[]): Summaries {
  const splits = new Set(scores.map(({ split }) => split));
  return Object.fromEntries(
    [...splits].map((split) => [split, summaryOf(scores.filter((score) => score.split === split))]),
  );
}

/** Exponential approach from the uniform score to the final one, with a little evaluation noise. */
function approach(summaries: Summaries, share: number, noise: number): Summaries {
  const entries = Object.entries(summaries).map(([split, final]) => {
    const value = 0.742 + (final.mean - 0.742) * share + noise;
    return [split, { ...final, mean: value, worst: value - (final.mean - final.worst) }];
  });
  return Object.fromEntries(entries);
}

function curveOf(kind: Kind, final: Summaries, seed: number, rounds: number): readonly CurvePoint[] {
  const stepsPerRound = kind.stepsPerRound;
  if (stepsPerRound === null) return [];
  const random = randomStream(seed, 'curve', kind.id);
  return Array.from({ length: rounds + 1 }, (_, round) => {
    const step = round * stepsPerRound;
    const share = round === rounds ? 1 : 1 - Math.exp((-step * 3.2) / (rounds * stepsPerRound));
    const noise = round === 0 || round === rounds ? 0 : 0.0015 * random.normal();
    const loss = round === 0 ? null : 0.42 + 0.85 * Math.exp(-step / 60) + 0.008 * random.normal();
    return { round, step, loss, summaries: approach(final, share, noise) };
  });
}

interface Setting {
  readonly seed: number;
  readonly rounds: number;
  readonly lift: number;
  readonly unseenQuestions: boolean;
  readonly training: readonly string[];
  readonly unseen: readonly string[];
}

function scoresOf(kind: Kind, setting: Setting): readonly GroupScore[] {
  const lift = kind.id === 'federated' ? setting.lift : 0;
  const onSplit = (split: SplitName, groups: readonly string[]): readonly GroupScore[] => {
    const level = kind.level[split];
    if (level === null) return [];
    return groups.map((group) => {
      const difficulty = 0.02 * randomStream(setting.seed, 'difficulty', group).normal();
      const own = 0.008 * randomStream(setting.seed, kind.id, split, group).normal();
      const alignment = Math.min(0.99, level + lift + difficulty + own);
      return { group, split, alignment, distanceBase2: (1 - alignment) / Math.sqrt(Math.LN2), questions: 47 };
    });
  };
  return [
    ...onSplit('training', setting.training),
    ...onSplit('unseen', setting.unseen),
    ...(setting.unseenQuestions ? onSplit('unseen-questions', setting.unseen) : []),
  ];
}

function methodOf(kind: Kind, setting: Setting): MethodRecord {
  const scores = scoresOf(kind, setting);
  const summaries = summariesOf(scores);
  const stepsPerRound = kind.stepsPerRound;
  const converged = Math.ceil(setting.rounds * 0.7);
  return {
    id: kind.id,
    label: kind.label,
    kind: stepsPerRound === null ? 'baseline' : 'trained',
    sees: kind.sees,
    curve: curveOf(kind, summaries, setting.seed, setting.rounds),
    scores,
    summaries,
    convergence:
      stepsPerRound === null
        ? null
        : {
            round: converged,
            step: converged * stepsPerRound,
            uploadedBytes: kind.id === 'federated' ? converged * BYTES_PER_UPDATE : 0,
          },
    ...(kind.id === 'local-only' ? { best: approach(summaries, 1, 0.031) } : {}),
    ...(kind.note === undefined ? {} : { note: kind.note }),
  };
}

const CONFIG_YAML = `name: nonvoters-quickstart
seed: 7
survey: nonvoters
split:
  trainingGroups: 14
  contextQuestions: 10
predictor:
  name: gpo
  width: 64
  layers: 3
protection: masking # the aggregator learns the sum only
`;

/** A realistic record: 14 training and 7 unseen groups, seven methods, every figure a function of the seed. */
export function recordFixture(options: FixtureOptions = {}): RunRecord {
  const { seed = 7, rounds = 40, lift = 0, unseenQuestions = false, reveals = 'sum' } = options;
  const groups = randomStream(seed, 'groups').shuffled(
    PARTIES.flatMap((party) => CELLS.map((cell) => `${party} · ${cell}`)),
  );
  const training = groups.slice(0, TRAINING_GROUPS);
  const unseen = groups.slice(TRAINING_GROUPS);
  const setting: Setting = { seed, rounds, lift, unseenQuestions, training, unseen };
  const uploads = rounds * TRAINING_GROUPS;
  return {
    format: 1,
    name: 'nonvoters-quickstart',
    seed,
    configYaml: CONFIG_YAML,
    configDigest: digestOf({ CONFIG_YAML, ...options }),
    modelDigest: digestOf(['model', seed]),
    survey: {
      name: 'nonvoters',
      questions: 57,
      groups: groups.length,
      answers: 1197,
      provenance: {
        source: 'FiveThirtyEight and Ipsos, poll of non-voters, September 2020',
        licence: 'CC BY 4.0',
        attribution: 'Derived from data by FiveThirtyEight and Ipsos; item texts are in our own words.',
      },
    },
    warnings: [],
    split: { trainingGroups: training, unseenGroups: unseen, heldOutQuestions: unseenQuestions ? 11 : 0 },
    features: { provider: 'lexical', width: 144, digest: digestOf(['features', seed]) },
    predictor: { name: 'gpo', parameters: PARAMETERS },
    strategy: 'fedavg',
    protection: { name: reveals === 'rows' ? 'none' : 'masking', reveals },
    rounds,
    localSteps: LOCAL_STEPS,
    contextQuestions: 10,
    draws: 5,
    methods: KINDS.map((kind) => methodOf(kind, setting)),
    bytes: {
      uploadPerGroupPerRound: BYTES_PER_UPDATE,
      downloadPerGroupPerRound: 349_012,
      uploadTotal: uploads * BYTES_PER_UPDATE,
      downloadTotal: uploads * 349_012,
      uploadPerParameter: BYTES_PER_UPDATE / PARAMETERS,
    },
    phases: [
      { name: 'features', seconds: 1.84 },
      { name: 'local training', seconds: 96.3 },
      { name: 'protect', seconds: 7.21 },
      { name: 'aggregate', seconds: 2.08 },
      { name: 'comparisons', seconds: 61.7 },
      { name: 'evaluate', seconds: 14.9 },
      { name: 'report', seconds: 0.31 },
    ],
    environment: {
      version: '0.1.0',
      commit: '4f0c2d9a7be1',
      node: '20.20.0',
      onnxruntime: '1.30.0',
      platform: 'linux-x64',
      cpu: 'a processor of the fixture',
      cores: 8,
      workers: 4,
      device: 'cpu',
    },
    startedAt: '2026-03-01T09:30:00.000Z',
    finishedAt: '2026-03-01T09:33:04.340Z',
  };
}
