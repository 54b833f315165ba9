import { stringify } from 'yaml';
import type { z } from 'zod';
import { asStage, type Stage } from '../core/brand.ts';
import { digestOf } from '../core/digest.ts';
import { PluralError } from '../core/errors.ts';
import { parseOptions } from '../core/options.ts';
import { suggestion } from '../core/suggest.ts';
import { listShipped } from '../data/shipped.ts';
import { featuresProvider } from '../features/table.ts';
import type { ParameterLayout } from '../predictor/layout.ts';
import { predictorKind } from '../predictor/table.ts';
import { inParts } from '../privacy/in-parts.ts';
import type { Protection, Reveals } from '../privacy/protection.ts';
import { PROTECTIONS } from '../privacy/table.ts';
import { countingRows } from '../strategy/counted-rows.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { STRATEGIES } from '../strategy/table.ts';
import { weightBounds } from '../strategy/weight-bounds.ts';
import { resolveDevice } from '../training/device.ts';
import { drawnOf, type Participation } from '../wire/participation.ts';
import { Parts } from '../wire/parts.ts';
import { type ConfigFields, configSchema } from './schema.ts';

/** A checked configuration: every default filled in, plug-in options parsed, plug-ins known to fit together. */
export type Config = Stage<'Config', ConfigFields>;

function byName<Kind extends { readonly name: string }>(
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

/** The options beside `name`, parsed by the plug-in's schema, with `name` put back. */
function withOptions(where: string, schema: z.ZodType, given: { name: string; [key: string]: unknown }) {
  const { name, ...options } = given;
  const parsed: unknown = parseOptions(where, schema, options);
  return { name, ...(parsed as Record<string, unknown>) };
}

/** Refuses settings that the chosen schedule would silently ignore. */
function checkSchedule({ training }: ConfigFields): void {
  const { schedule, warmupSteps, cosineSteps } = training;
  const ignored =
    warmupSteps > 0 && schedule !== 'warmup-cosine'
      ? 'warmupSteps'
      : cosineSteps !== null && schedule === 'constant'
        ? 'cosineSteps'
        : undefined;
  if (ignored === undefined) return;
  throw new PluralError('CONFIG_CONFLICT', `training.${ignored} has no effect with schedule "${schedule}"`, {
    hint: 'Choose training.schedule=warmup-cosine, or leave the key out.',
  });
}

/** Refuses what single values do not show: pieces that do not fit together. */
function checkTogether(config: ConfigFields): void {
  const { data, strategy, protection } = config;
  if ((data.survey === null) === (data.path === null)) {
    throw new PluralError('CONFIG_CONFLICT', 'data: give either "survey" or "path", and not both', {
      hint: 'survey: a shipped name or an imported folder; path: a file to import on the fly, with data.survey=null.',
    });
  }
  checkSchedule(config);
  const needs = byName('strategy', STRATEGIES, strategy.name).needs;
  const reveals = byName('protection', PROTECTIONS, protection.name).reveals;
  if (needs === 'rows' && reveals === 'sum') {
    throw new PluralError(
      'CONFIG_CONFLICT',
      `strategy "${strategy.name}" needs each update, protection "${protection.name}" reveals only their sum`,
      { hint: 'Choose strategy "fedavg", or protection "none" where updates may be seen.' },
    );
  }
}

/**
 * Checks a raw configuration. Errors: CONFIG_UNKNOWN_KEY (with the nearest known key), CONFIG_INVALID,
 * CONFIG_CONFLICT, DEVICE_UNAVAILABLE.
 */
export function parseConfig(raw: unknown): Config {
  const fields = parseOptions('', configSchema, raw);
  checkTogether(fields);
  resolveDevice(fields.runtime.device);
  const config: Config = asStage({
    ...fields,
    features: withOptions('features', featuresProvider(fields.features.name).options, fields.features),
    predictor: withOptions('predictor', predictorKind(fields.predictor.name).options, fields.predictor),
    strategy: withOptions(
      'strategy',
      byName('strategy', STRATEGIES, fields.strategy.name).options,
      fields.strategy,
    ),
    protection: withOptions(
      'protection',
      byName('protection', PROTECTIONS, fields.protection.name).options,
      fields.protection,
    ),
  });
  checkStrategy(config);
  const { protection } = roundPlugins(config, 1, { size: 1, counted: null });
  checkCounted(config);
  checkParticipation(config, protection);
  checkGroups(config, protection);
  checkHolds(config, protection);
  return config;
}

/** Refuses a strategy that does not go with the noise, the parts or the device. */
function checkStrategy(config: Config): void {
  const { protection, runtime, updates } = config;
  const { name, scores, momentum, local } = strategyOf(config);
  const { differentialPrivacy = null } = optionsOf(protection);
  if (scores && differentialPrivacy !== null) {
    throw new PluralError(
      'CONFIG_CONFLICT',
      `strategy "${name}" weighs groups by their scores, which protection.differentialPrivacy keeps from everybody`,
      {
        hint: 'Choose strategy "fedavg" with strategy.weighting=equal, or leave protection.differentialPrivacy out.',
      },
    );
  }
  if (momentum && updates.parts > 1) {
    throw new PluralError(
      'CONFIG_CONFLICT',
      `updates.parts is ${updates.parts}, but strategy "${name}" moves parameters that a round does not send, too`,
      { hint: 'Set updates.parts=1, or choose a strategy without momentum, such as "fedavg".' },
    );
  }
  if (local.proximal > 0 && resolveDevice(runtime.device) === 'webgpu') {
    throw new PluralError(
      'CONFIG_CONFLICT',
      `strategy "${name}" adds a proximal term to local training, which device "webgpu" does not know`,
      { hint: 'Choose runtime.device=cpu, or strategy "fedavg".' },
    );
  }
}

/** The strategy that a configuration names. */
function strategyOf({ strategy }: Config): Strategy {
  return byName('strategy', STRATEGIES, strategy.name).create(optionsOf(strategy));
}

/** How many groups train. */
export function trainingGroups({ data }: ConfigFields): number {
  const { training } = data.groups;
  return typeof training === 'number' ? training : training.length;
}

/** How many take part in each round, trustees included, where as many are enrolled as the configuration says. */
export function roundGroups(config: ConfigFields, { groups, trustees }: Protection): number {
  const count = trainingGroups(config) + trustees.length;
  const { participation } = config.round;
  return participation === 1 ? count : drawnOf(participation, count, groups.least);
}

/** How the groups of each round are drawn; null where all take part. */
export function participationOf(config: ConfigFields): Participation | null {
  const { round, seed } = config;
  const { participation: share } = round;
  return share === 1 ? null : { seed, share, begin: trainingGroups(config) };
}

/** Refuses rounds of some groups where others are needed, or where the quorum is never reached. */
function checkParticipation(config: Config, protection: Protection): void {
  const { participation, quorum } = config.round;
  if (participation === 1) return;
  const refused = (what: string, hint: string) => new PluralError('CONFIG_CONFLICT', what, { hint });
  if (protection.custody !== null) {
    throw refused(
      `round.participation is ${participation}, but protection "${protection.name}" needs those whom it names in every round`,
      'Set round.participation=1, or name nobody: protection "mask", or "seal" without committee.',
    );
  }
  const drawn = roundGroups(config, protection);
  if (quorum !== null && quorum > drawn) {
    throw refused(
      `round.quorum is ${quorum}, but with round.participation ${participation} a round asks ${drawn} groups`,
      'Lower round.quorum, or raise round.participation.',
    );
  }
}

/** Refuses a number of groups that the protection cannot hide or add up. */
function checkGroups(config: Config, protection: Protection): void {
  const { name, groups } = protection;
  const { least, most } = groups;
  const training = trainingGroups(config);
  const count = roundGroups(config, protection);
  const quorum = config.round.quorum ?? count;
  const refused = (what: string, hint: string) => new PluralError('CONFIG_CONFLICT', what, { hint });
  if (Math.min(count, quorum) < least) {
    const found = count < least ? `data.groups.training is ${training}` : `round.quorum is ${quorum}`;
    throw refused(
      `${found}, protection "${name}" needs at least ${least} groups in every round`,
      'With fewer groups a sum tells what each of them sent. Take more groups, or protection "none" where updates may be seen.',
    );
  }
  // Also where rounds ask some of them: whoever is enrolled may be asked.
  if (Math.max(count, training) > most) {
    throw refused(
      `data.groups.training is ${training}, the sum of protection "${name}" has room for ${most} groups`,
      'Raise protection.mostGroups.',
    );
  }
}

/**
 * Refuses what spoils the counts of rows, or makes them tell of single groups: a bound on the norm, which cuts them by the same factor as all else; weights that
 * follow from scores, which the count of a row that one group touched would tell; rounds of some groups, whose counts differ by who was asked.
 */
function checkCounted(config: Config): void {
  const { predictor, protection, round } = config;
  const { layout } = predictorKind(predictor.name).create(optionsOf(predictor), { featureWidth: 1, rows: 1 });
  if (layout.counted === null) return;
  const refused = (what: string) =>
    new PluralError('CONFIG_CONFLICT', what, {
      hint: 'Set predictor.leastGroups=null, which averages rows over all groups and counts nothing.',
    });
  const { clipNorm = null } = protection;
  const counting = `predictor "${predictor.name}" counts the groups that have answers to a question`;
  if (clipNorm !== null) throw refused(`protection.clipNorm bounds whole updates, and ${counting} in them`);
  const { name, scores } = strategyOf(config);
  if (scores)
    throw refused(`strategy "${name}" weighs groups by their scores, and ${counting} by their weights`);
  if (round.participation < 1) {
    throw refused(
      `round.participation is ${round.participation}, and ${counting}: rounds that differ by a group would tell which those are`,
    );
  }
}

/** Refuses an aggregator without models under a protection that opens every sum there, and a readers' key that nobody would use. */
function checkHolds({ aggregator }: Config, { name, sealedSums }: Protection): void {
  const { holds, readers } = aggregator;
  if (holds === 'ciphertext' && sealedSums === null) {
    throw new PluralError(
      'CONFIG_CONFLICT',
      `aggregator.holds is ciphertext, but under protection "${name}" the aggregator itself opens what it adds up`,
      { hint: 'Choose protection "seal", or aggregator.holds=clear.' },
    );
  }
  if (holds === 'clear' && readers !== null) {
    throw new PluralError(
      'CONFIG_CONFLICT',
      'aggregator.readers has no effect with aggregator.holds "clear"',
      {
        hint: 'Choose aggregator.holds=ciphertext with protection "seal", or leave the key out.',
      },
    );
  }
}

/** Options of a plug-in section without its name. */
export function optionsOf(section: { readonly name: string; readonly [key: string]: unknown }) {
  const { name: _, ...options } = section;
  return options;
}

/**
 * The strategy and the protection that a configuration names. `questions`: how many questions groups may train on, at most:
 * it bounds their weights. `layout`: that of an update. Errors: CONFIG_CONFLICT.
 */
export function roundPlugins(
  config: Config,
  questions: number,
  { size: parameters, counted }: Pick<ParameterLayout, 'size' | 'counted'>,
) {
  const { protection, training, seed, updates } = config;
  const strategy = strategyOf(config);
  // Of one part there is nothing to gather.
  const parts =
    updates.parts === 1 ? null : new Parts({ seed, parts: updates.parts, parameters, always: counted });
  const weights = weightBounds(strategy, questions);
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
  return {
    strategy:
      counted === null
        ? strategy
        : countingRows(strategy, counted, { unit: countUnit(config), mostWeight: shape.mostWeight }),
    protection: parts === null ? protecting : inParts(protecting, parts),
  };
}

/** How far a parameter moves in a round of local training, about. */
function reachOf({ training }: ConfigFields): number {
  return training.localSteps * training.learningRate;
}

/** What stands in an update for a row that was touched: the largest change that the grid has, so that it is rounded to no other. */
export function countUnit(config: Config): number {
  const { clipValue } = config.protection;
  return typeof clipValue === 'number' ? clipValue : reachOf(config);
}

/** What a protection shows the aggregator. */
export function revealedBy(config: Config): Reveals {
  return byName('protection', PROTECTIONS, config.protection.name).reveals;
}

/**
 * What a run's numbers depend on: the configuration without its name, its folder, the number of workers, how a
 * deployed round waits, who can read its models, and where files lie. What is in the files counts, by their own digests (`fingerprintOf`).
 */
export function configDigest(config: Config): string {
  const { name: _name, output: _output, round, aggregator: _aggregator, updates, ...numbers } = config;
  const { runtime, data, features, ...rest } = numbers;
  const { path: _data, survey, ...chosenData } = data;
  const shipped = survey !== null && listShipped().includes(survey) ? survey : null;
  const { path: _features, ...chosenFeatures } = features;
  return digestOf({
    ...rest,
    data: { ...chosenData, survey: shipped },
    features: chosenFeatures,
    device: countedDevice(runtime),
    // Left out where every round asks all, as it was before there was a choice.
    ...(round.participation === 1 ? {} : { participation: round.participation }),
    // So is this where every round sends all.
    ...(updates.parts === 1 ? {} : { parts: updates.parts }),
  });
}

/** The device that is used, and how it stores features where it keeps them. */
function countedDevice({ device, features }: Config['runtime']): string {
  if (device === 'webgpu' && features !== 'float32') return `${device} ${features}`;
  return device === 'auto' ? 'cpu' : device;
}

/** The frozen configuration as YAML. */
export function configYaml(config: Config): string {
  return stringify(config, { lineWidth: 110 });
}
