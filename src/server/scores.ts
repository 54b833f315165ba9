import type { Kysely } from 'kysely';
import { PluralError } from '../core/errors.ts';
import { meanOf } from '../evaluate/group-scores.ts';
import { coefficientOfVariation } from '../evaluate/summary.ts';
import type { ScoreRequest, ScoreSummary } from '../wire/http.ts';
import type { Aggregator } from './aggregator.ts';
import { changeRun } from './locked-run.ts';
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
  return [...byRound].map(([round, of]) => summaryOf(round, of));
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
