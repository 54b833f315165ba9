import { randomBytes } from 'node:crypto';
import { newRun } from '../round/aggregator-state.ts';
import { initialModel } from '../training/initial-model.ts';
import type { CreateRunRequest } from '../wire/http.ts';
import { type RunDefinition, runDigest } from '../wire/run-definition.ts';
import type { Aggregator } from './aggregator.ts';
import { changeRun, storedStrategyState, unknownRun } from './locked-run.ts';
import { keepModel, publishModel } from './models.ts';
import { openPlan } from './plan.ts';

/** A name as a run id: lower case, with hyphens for everything that is not a letter or a digit. */
function slug(name: string): string {
  const words = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  return words.replaceAll(/^-+|-+$/g, '').slice(0, 48) || 'run';
}

/** `name`, or `name-2`, `name-3`, ... where that is taken. */
async function freeId({ db }: Aggregator, name: string): Promise<string> {
  const first = slug(name);
  const rows = await db.selectFrom('runs').select('id').where('id', 'like', `${first}%`).execute();
  const taken = new Set(rows.map(({ id }) => id));
  let id = first;
  for (let number = 2; taken.has(id); number++) id = `${first}-${number}`;
  return id;
}

/** Makes a run with its round 0 model; it waits for groups. Errors: those of `openPlan`. */
export async function createRun(
  aggregator: Aggregator,
  { name, plan }: CreateRunRequest,
): Promise<{ run: string; digest: string }> {
  const { config, predictor, strategy, protection } = openPlan(plan);
  const run = await freeId(aggregator, name);
  const nonce = randomBytes(16).toString('hex');
  const definition: RunDefinition = { format: 1, run, nonce, plan };
  const digest = runDigest(definition);
  const model = initialModel(predictor, config.seed);
  await keepModel(aggregator, model);
  const state = newRun({ rounds: config.training.rounds, quorum: plan.quorum, steps: protection.steps });
  await aggregator.db.transaction().execute(async (tx) => {
    await tx
      .insertInto('runs')
      .values({
        id: run,
        digest,
        definition: JSON.stringify(definition),
        state: JSON.stringify(state),
        phase: state.phase,
        round: 0,
        deadline_at: null,
        strategy_state: storedStrategyState(strategy.initialState()),
        created_at: aggregator.clock.now(),
      })
      .execute();
    await publishModel(
      aggregator,
      { tx, run, digest },
      { model, previous: null, updates: 0, uploadedBytes: 0 },
    );
  });
  aggregator.observe({ type: 'changed', run });
  return { run, digest };
}

/** Opens a failed round again, or starts a run with the groups that joined; nothing where it is under way. */
export async function startRun(aggregator: Aggregator, run: string): Promise<void> {
  await changeRun(aggregator, run, (locked) => locked.deliver({ type: 'start' }));
}

/** Ends a run for good; its last model stays. */
export async function stopRun(aggregator: Aggregator, run: string): Promise<void> {
  await changeRun(aggregator, run, (locked) => locked.deliver({ type: 'stop' }));
}

/** The definition of a run with its digest. Errors: AGGREGATOR_UNKNOWN_RUN. */
export async function definitionOf(
  { db }: Aggregator,
  run: string,
): Promise<{ definition: RunDefinition; digest: string }> {
  const row = await db
    .selectFrom('runs')
    .select(['definition', 'digest'])
    .where('id', '=', run)
    .executeTakeFirst();
  if (row === undefined) throw unknownRun(run);
  return row;
}
