import type { Kysely } from 'kysely';
import { PluralError } from '../core/errors.ts';
import { meanOf } from '../evaluate/group-scores.ts';
import { coefficientOfVariation } from '../evaluate/summary.ts';
import type { ScoreRequest, ScoreSummary } from '../wire/http.ts';
import type { ScoreSums } from '../wire/stages.ts';
import type { Aggregator } from './aggregator.ts';
import { changeRun, type LockedRun } from './locked-run.ts';
import type { Member } from './members.ts';
import { recordOf } from './models.ts';
import type { ScoresTable, Tables } from './store/tables.ts';

/** Means over the groups that scored one model. Nobody's own score is shown. */
function summaryOf(round: number, rows: readonly Pick<ScoresTable, 'alignment' | 'loss'>[]): ScoreSummary {
  const alignments = rows.map(({ alignment }) => alignment);
  const losses = rows.flatMap(({ loss }) => (loss === null ? [] : [loss]));
  const mean = meanOf(alignments);
  // The coefficient divides by the mean; scores that are all 0 do not vary.
  const variation = mean === 0 ? 0 : coefficientOfVariation(alignments);
  return {
    round,
    groups: rows.length,
    mean,
    worst: Math.min(...alignments),
    coefficientOfVariation: variation,
    fairnessIndex: 1 / (1 + variation ** 2),
    loss: losses.length === 0 ? null : meanOf(losses),
  };
}

/** The same from sums alone: nobody's score is in them. The worst is not known, and rounding may leave a variance below 0. */
export function summaryOfSums(round: number, { groups, sum, sumOfSquares }: ScoreSums): ScoreSummary {
  const mean = sum / groups;
  const variance = Math.max(0, sumOfSquares / groups - mean * mean);
  const variation = mean === 0 ? 0 : Math.sqrt(variance) / mean;
  return {
    round,
    groups,
    mean,
    worst: null,
    coefficientOfVariation: variation,
    fairnessIndex: 1 / (1 + variation ** 2),
    loss: null,
  };
}

/** Keeps what a masked round says of the model that it went out from, and tells it. */
export async function keepScoreSums(locked: LockedRun, round: number, sums: ScoreSums): Promise<void> {
  const { groups, sum, sumOfSquares } = sums;
  await locked.tx
    .insertInto('score_sums')
    .values({ run: locked.run, round, groups, sum, sum_of_squares: sumOfSquares })
    .execute();
  await locked.event('scored', summaryOfSums(round, sums));
}

/** The summaries of all rounds that were scored, ascending. */
export async function scoreSummaries(db: Kysely<Tables>, run: string): Promise<ScoreSummary[]> {
  const rows = await db
    .selectFrom('scores')
    .select(['round', 'alignment', 'loss'])
    .where('run', '=', run)
    .orderBy('round')
    .orderBy('group_id')
    .execute();
  const byRound = new Map<number, typeof rows>();
  for (const row of rows) {
    const of = byRound.get(row.round);
    if (of === undefined) byRound.set(row.round, [row]);
    else of.push(row);
  }
  const told = [...byRound].map(([round, of]) => summaryOf(round, of));
  return [...told, ...(await summedScores(db, run))].sort((a, b) => a.round - b.round);
}

async function summedScores(db: Kysely<Tables>, run: string): Promise<ScoreSummary[]> {
  const rows = await db
    .selectFrom('score_sums')
    .select(['round', 'groups', 'sum', 'sum_of_squares'])
    .where('run', '=', run)
    .execute();
  return rows.map(({ round, groups, sum, sum_of_squares: sumOfSquares }) =>
    summaryOfSums(round, { groups, sum, sumOfSquares }),
  );
}

/** Takes what a group says of a published model on its own answers; the last word counts. Errors: UPDATE_OF_ANOTHER_MODEL. */
export async function takeScore(aggregator: Aggregator, member: Member, score: ScoreRequest): Promise<void> {
  const { round, model, alignment, questions, loss } = score;
  const record = await recordOf(aggregator, member.run, round);
  if (record?.model !== model) {
    throw new PluralError('UPDATE_OF_ANOTHER_MODEL', `a score of round ${round}: there is no such model`, {
      hint: 'Score the model that the aggregator published.',
    });
  }
  await changeRun(aggregator, member.run, async (locked) => {
    const { tx, run } = locked;
    await tx
      .insertInto('scores')
      .values({ run, round, group_id: member.group_id, alignment, questions, loss })
      .onConflict((conflict) =>
        conflict.columns(['run', 'round', 'group_id']).doUpdateSet({ alignment, questions, loss }),
      )
      .execute();
    const rows = await tx
      .selectFrom('scores')
      .select(['alignment', 'loss'])
      .where('run', '=', run)
      .where('round', '=', round)
      .orderBy('group_id')
      .execute();
    await locked.event('scored', summaryOf(round, rows));
  });
}
