import { PluralError } from '../core/errors.ts';
import { suggestion } from '../core/suggest.ts';
import type { ParameterLayout } from '../predictor/layout.ts';
import { checkingSums } from '../privacy/checked-sums.ts';
import { inParts } from '../privacy/in-parts.ts';
import type { Reveals } from '../privacy/protection.ts';
import { PROTECTIONS } from '../privacy/table.ts';
import { countingRows } from '../strategy/counted-rows.ts';
import { withLeastWeight } from '../strategy/least-weight.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { STRATEGIES } from '../strategy/table.ts';
import { weightBounds } from '../strategy/weight-bounds.ts';
import { Parts } from '../wire/parts.ts';
import type { ConfigFields } from './schema.ts';

export function byName<Kind extends { readonly name: string }>(
  what: string,
  kinds: readonly Kind[],
  name: string,
): Kind {
  const kind = kinds.find((candidate) => candidate.name === name);
  if (kind !== undefined) return kind;
  const known = kinds.map((candidate) => candidate.name);
  throw new PluralError('CONFIG_INVALID', `${what}.name: there is no ${what} "${name}"`, {
    hint: suggestion(name, known),
  });
}

/** Options of a plug-in section without its name. */
export function optionsOf(section: { readonly name: string; readonly [key: string]: unknown }) {
  const { name: _, ...options } = section;
  return options;
}

/** The strategy that a configuration names. */
export function strategyOf({ strategy }: ConfigFields): Strategy {
  return byName('strategy', STRATEGIES, strategy.name).create(optionsOf(strategy));
}

/**
 * The strategy and the protection that a configuration names. `questions`: how many questions groups may train on, at most:
 * it bounds their weights. `layout`: that of an update. Errors: CONFIG_CONFLICT.
 */
export function roundPlugins(
  config: ConfigFields,
  questions: number,
  { size: parameters, counted }: Pick<ParameterLayout, 'size' | 'counted'>,
) {
  const { protection, training, seed, updates } = config;
  const chosen = strategyOf(config);
  // Of one part there is nothing to gather.
  const parts =
    updates.parts === 1 ? null : new Parts({ seed, parts: updates.parts, parameters, always: counted });
  const weights = weightBounds(chosen, questions);
  const shape = {
    rounds: training.rounds,
    parameters: parts?.most ?? parameters,
    mostWeight: weights.most,
    equalWeights: weights.equal,
    reach: reachOf(config),
    seed,
    holds: config.aggregator.holds,
  };
  const kind = byName('protection', PROTECTIONS, protection.name);
  const protecting = kind.create(optionsOf(protection), shape);
  const strategy = withLeastWeight(chosen, protecting.leastWeight);
  const honest = { leastWeight: weightBounds(strategy, questions).least, counted };
  return {
    strategy:
      counted === null
        ? strategy
        : countingRows(strategy, counted, { unit: countUnit(config), mostWeight: shape.mostWeight }),
    protection: checkingSums(parts === null ? protecting : inParts(protecting, parts), honest),
  };
}

/** How far a parameter moves in a round of local training, about. */
function reachOf({ training }: ConfigFields): number {
  return training.localSteps * training.learningRate;
}

/** What stands in an update for a row that was touched: the largest change that the grid has, so that it is rounded to no other. */
export function countUnit(config: ConfigFields): number {
  const { clipValue } = config.protection;
  return typeof clipValue === 'number' ? clipValue : reachOf(config);
}

/** What a protection shows the aggregator. */
export function revealedBy(config: ConfigFields): Reveals {
  return byName('protection', PROTECTIONS, config.protection.name).reveals;
}
