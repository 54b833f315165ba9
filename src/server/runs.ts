import { randomBytes } from 'node:crypto';
import { participationOf } from '../config/round-groups.ts';
import { PluralError } from '../core/errors.ts';
import { stagedOptions } from '../predictor/staged/options.ts';
import { newRun } from '../round/aggregator-state.ts';
import { OuterVector } from '../sharding/parts/outer-vector.ts';
import { initialModel } from '../training/initial-model.ts';
import type { CreateRunRequest } from '../wire/http.ts';
import { makeModel } from '../wire/model.ts';
import { type RunDefinition, runDigest } from '../wire/run-definition.ts';
import type { Model } from '../wire/stages.ts';
import type { Aggregator } from './aggregator.ts';
import { changeRun, storedStrategyState, unknownRun } from './locked-run.ts';
import { keepModel, publishModel } from './models.ts';
import { type OpenPlan, openPlan, type PlanCache } from './plan.ts';
import { canBegin } from './seat-rows.ts';

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

/** What the rounds begin with: of a sharded run front and head. */
function firstModel({ config, predictor }: OpenPlan): Model {
  const whole = initialModel(predictor, config.seed);
  if (config.sharding === null) return whole;
  const vector = new OuterVector(predictor.layout, stagedOptions.parse(predictor.options));
  return makeModel(0, vector.of(whole.parameters));
}

/** Makes a run with its round 0 model; it waits for groups. Errors: those of `openPlan`. */
export async function createRun(
  aggregator: Aggregator,
  { name, plan }: CreateRunRequest,
): Promise<{ run: string; digest: string }> {
  const opened = openPlan(plan);
  const model = firstModel(opened);
  await keepModel(aggregator, model);
  const nonce = randomBytes(16).toString('hex');
  for (;;) {
    const run = await freeId(aggregator, name);
    const definition: RunDefinition = { format: 1, run, nonce, plan };
    const digest = runDigest(definition);
    const inserted = await insertRun(aggregator, opened, { definition, digest, model });
    if (!inserted) continue;
    aggregator.observe({ type: 'changed', run });
    return { run, digest };
  }
}

/** False where another run took the id meanwhile. */
function insertRun(
  aggregator: Aggregator,
  { config, strategy, protection }: OpenPlan,
  { definition, digest, model }: { definition: RunDefinition; digest: string; model: Model },
): Promise<boolean> {
  const { run, plan } = definition;
  const state = newRun({
    rounds: config.training.rounds,
    quorum: plan.quorum,
    steps: protection.steps,
    participation: participationOf(config),
  });
  return aggregator.db.transaction().execute(async (tx) => {
    const inserted = await tx
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
      .onConflict((conflict) => conflict.column('id').doNothing())
      .executeTakeFirst();
    if (inserted.numInsertedOrUpdatedRows === 0n) return false;
    const first = { model, previous: null, updates: 0, uploadedBytes: 0 };
    await publishModel(aggregator, { tx, run, digest }, first);
    return true;
  });
}

/** Opens a failed round again, or starts a run with the groups that joined; nothing where it is under way. Errors: ROUND_REFUSED where stages have no keeper yet. */
export async function startRun(aggregator: Aggregator, run: string): Promise<void> {
  await changeRun(aggregator, run, async (locked) => {
    if (locked.state.phase === 'waiting' && !(await canBegin(locked))) {
      throw new PluralError('ROUND_REFUSED', `run "${run}" has no keeper for each of its stages yet`, {
        hint: `Invite them: pluralllm aggregator invite <aggregator> ${run} --keeper`,
      });
    }
    await locked.deliver({ type: 'start' });
  });
}

/** Ends a run for good; its last model stays. */
export async function stopRun(aggregator: Aggregator, run: string): Promise<void> {
  await changeRun(aggregator, run, (locked) => locked.deliver({ type: 'stop' }));
}

/** Errors: AGGREGATOR_UNKNOWN_RUN. */
export async function checkRun({ db }: Aggregator, run: string): Promise<void> {
  const row = await db.selectFrom('runs').select('id').where('id', '=', run).executeTakeFirst();
  if (row === undefined) throw unknownRun(run);
}

/** The opened plan of a run; its definition is read only where the plan is not open yet. Errors: AGGREGATOR_UNKNOWN_RUN. */
export async function planOf(aggregator: Aggregator, plans: PlanCache, run: string): Promise<OpenPlan> {
  const row = await aggregator.db
    .selectFrom('runs')
    .select('digest')
    .where('id', '=', run)
    .executeTakeFirst();
  if (row === undefined) throw unknownRun(run);
  const known = plans.known(row.digest);
  if (known !== undefined) return known;
  const { definition } = await definitionOf(aggregator, run);
  return plans.get(row.digest, definition.plan);
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
