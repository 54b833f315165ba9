import type { Unextractable } from '../../experiments/unextractable/unextractable.ts';
import { markdownTable } from '../../src/report/table.ts';
import { left, resultOf, right, spread, withSpread } from './parts.ts';

function unextractable(): Unextractable {
  return resultOf('experiments/unextractable/unextractable.json');
}

/** What shards are worth, with what is needed beside them. A highest score is shown where there are several draws. */
export function unextractableTable(): string {
  const { rows, chance, seeds, passes, commit } = unextractable();
  const columns = [
    left('what is put together'),
    left('needs'),
    ...['cost', 'unseen mean', 'above chance', 'highest draw'].map(right),
  ];
  const cells = rows.map(({ label, needs, cost, scores, highest }) => {
    const drawn = highest.some((score, i) => score > scores[i]!);
    return [
      label,
      needs,
      cost === null ? '' : `${(100 * cost).toFixed(1)}%`,
      withSpread(scores),
      // Adding 0 takes the sign off a zero.
      (Number((spread(scores)[0] - spread(chance)[0]).toFixed(3)) + 0).toFixed(3),
      drawn ? Math.max(...highest).toFixed(3) : '',
    ];
  });
  const from = `Seeds ${seeds.join(', ')} on one split; a training is ${passes} passes of a task; commit ${commit}.`;
  return `${markdownTable(columns, cells)}\n\n${from}`;
}

/** Noise at the cut: what it costs, and what the first keeper finds under it. */
export function cutTable(): string {
  const { cut, seeds, commit } = unextractable();
  const [{ tellings }] = cut[0] as [(typeof cut)[number][number]];
  const columns = [
    'noise',
    'trained with it',
    'asked with it',
    'asked, answers alone',
    'error, one frame',
    `error, ${tellings} frames`,
    'error, no frame',
    'questions found',
  ].map(right);
  const cells = cut.map((outcomes) => {
    const figure = (name: Exclude<keyof (typeof outcomes)[number], 'deviation' | 'tellings'>) =>
      outcomes.map((outcome) => outcome[name]);
    const errorOf = (name: 'once' | 'often' | 'blind') => spread(figure(name))[0].toFixed(3);
    return [
      String(outcomes[0]!.deviation),
      ...(['trainedWith', 'askedWith', 'onAnswersOnly'] as const).map((name) => withSpread(figure(name))),
      ...(['once', 'often', 'blind'] as const).map(errorOf),
      `${(100 * spread(figure('found'))[0]).toFixed(0)}%`,
    ];
  });
  return `${markdownTable(columns, cells)}\n\nSeeds ${seeds.join(', ')} on one split; commit ${commit}.`;
}

/** What belongs between the marks of a table. */
