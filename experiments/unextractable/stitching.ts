import { randomStream } from '../../src/core/random.ts';
import { filledWith, identityStage, meanStage, stageOf } from './fillers.ts';
import { stitchedFrom } from './shards.ts';
import { LATE_EPOCHS, type Outcome, outcomeOf, startOf, type Trained } from './trained.ts';

const DRAWS = 20;

/** Epochs of the stages of each stitched model, all different. */
export function drawnEpochs({ setting }: Pick<Trained, 'setting'>): number[][] {
  const random = randomStream(setting.seed, 'stitched');
  return Array.from({ length: DRAWS }, () => random.shuffled(LATE_EPOCHS).slice(0, setting.options.stages));
}

async function scoresOf<Item>(items: readonly Item[], scoreOf: (item: Item) => Promise<number>) {
  const scores: number[] = [];
  for (const item of items) scores.push(await scoreOf(item));
  return scores;
}

/** Shards of different epochs put together as they are. */
export async function stitchedOutcome(trained: Trained, morphs: boolean): Promise<Outcome> {
  const { anatomy, score } = trained;
  const epochs = morphs ? trained.epochs : trained.plainEpochs;
  const scores = await scoresOf(drawnEpochs(trained), (draw) =>
    score(
      stitchedFrom(
        anatomy,
        draw.map((epoch) => epochs[epoch]!),
      ),
    ),
  );
  const label = `stitched shards${morphs ? '' : ', no morphs'}`;
  return outcomeOf({ label, needs: 'each stage, of different epochs' }, scores);
}

/** What stands in for a stage of an epoch. */
type FillerOf = (stage: number, epoch: number) => Float64Array;

/** All stages of an epoch but one, in turn each stage of each late epoch, with something in its place. */
export async function filledOutcomes(trained: Trained, morphs: boolean): Promise<Outcome[]> {
  const { anatomy, featureWidth, score, setting } = trained;
  const epochs = morphs ? trained.epochs : trained.plainEpochs;
  const stages = [...anatomy.ranges.stages.keys()];
  const shard = (epoch: number, stage: number) => stageOf(anatomy, epochs[epoch]!, stage);
  const except = (all: readonly number[], one: number) => all.filter((other) => other !== one);
  const needs = 'all stages of one epoch but one';
  const fillers: readonly (readonly [what: string, needs: string, FillerOf])[] = [
    [
      'random',
      needs,
      (stage, epoch) => stageOf(anatomy, startOf(setting, `filler ${stage} ${epoch}`), stage),
    ],
    ['identity', needs, (stage) => identityStage(anatomy, featureWidth, stage)],
    [
      'mean of the other stages',
      needs,
      (stage, epoch) => meanStage(except(stages, stage).map((other) => shard(epoch, other))),
    ],
    [
      'mean of the same stage in other epochs',
      `${needs}, and that one of ${LATE_EPOCHS.length - 1} other epochs`,
      (stage, epoch) => meanStage(except(LATE_EPOCHS, epoch).map((other) => shard(other, stage))),
    ],
  ];
  const outcomes: Outcome[] = [];
  for (const [what, need, fillerOf] of fillers) {
    const filled = LATE_EPOCHS.flatMap((epoch) =>
      stages.map((stage) => filledWith(anatomy, epochs[epoch]!, stage, fillerOf(stage, epoch))),
    );
    const label = `one stage filled in, ${what}${morphs ? '' : ', no morphs'}`;
    outcomes.push(outcomeOf({ label, needs: need }, await scoresOf(filled, score)));
  }
  return outcomes;
}
