import { PluralError } from '../core/errors.ts';
import type { ParameterLayout } from '../predictor/layout.ts';
import { stagedOptions } from '../predictor/staged/options.ts';
import { predictorKind } from '../predictor/table.ts';
import type { Protection } from '../privacy/protection.ts';
import { PROTECTIONS } from '../privacy/table.ts';
import { STRATEGIES } from '../strategy/table.ts';
import { resolveDevice } from '../training/device.ts';
import { roundGroups, trainingGroups } from './round-groups.ts';
import { byName, optionsOf, roundPlugins, strategyOf } from './round-plugins.ts';
import type { ConfigFields } from './schema.ts';

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

/** Refuses a run that ends before every parameter was sent once. */
function checkParts({ training, updates }: ConfigFields): void {
  const { rounds } = training;
  const { parts } = updates;
  if (parts <= rounds) return;
  throw new PluralError(
    'CONFIG_CONFLICT',
    `updates.parts is ${parts}, but training.rounds is ${rounds}: some parts would never be sent`,
    { hint: `Set updates.parts to at most ${rounds}, or training.rounds to at least ${parts}.` },
  );
}

/** Refuses what single values do not show: pieces that do not fit together. */
export function checkTogether(config: ConfigFields): void {
  const { data, strategy, protection } = config;
  if ((data.survey === null) === (data.path === null)) {
    throw new PluralError('CONFIG_CONFLICT', 'data: give either "survey" or "path", and not both', {
      hint: 'survey: a shipped name or an imported folder; path: a file to import on the fly, with data.survey=null.',
    });
  }
  checkSchedule(config);
  checkParts(config);
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

/** Refuses a strategy that does not go with the noise, the parts or the device. */
function checkStrategy(config: ConfigFields): void {
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

/** Refuses rounds of some groups where others are needed, or where the quorum is never reached. */
function checkParticipation(config: ConfigFields, protection: Protection): void {
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
function checkGroups(config: ConfigFields, protection: Protection): void {
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
function checkCounted(config: ConfigFields, layout: ParameterLayout): void {
  const { predictor, protection, round } = config;
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

/** Refuses what would move parameters that nothing trains back to where they belong. */
function checkFrozen(config: ConfigFields, layout: ParameterLayout): void {
  const { predictor, protection, training } = config;
  if (!layout.entries.some(({ frozen }) => frozen)) return;
  const refused = (what: string, hint: string) =>
    new PluralError(
      'CONFIG_CONFLICT',
      `${what}, and predictor "${predictor.name}" has some that no training moves back`,
      {
        hint,
      },
    );
  if (training.weightDecay > 0) {
    throw refused('training.weightDecay makes all parameters smaller', 'Set training.weightDecay=0.');
  }
  const { differentialPrivacy = null } = optionsOf(protection);
  if (differentialPrivacy !== null) {
    throw refused(
      'protection.differentialPrivacy adds noise to all parameters',
      'Choose predictor "gpo" with predictor.norm=pre, or leave protection.differentialPrivacy out.',
    );
  }
}

/** Refuses deposits that one keeper could open with the aggregator, and those that nobody could. */
function checkRecovery(recovery: number, stages: number): void {
  if (recovery === 0 || (recovery >= 2 && recovery < stages)) return;
  const why =
    recovery === 1
      ? 'one keeper of another stage and the aggregator would have it'
      : 'no others are there to open it';
  throw new PluralError(
    'CONFIG_CONFLICT',
    `sharding.recovery is ${recovery}: of a stage that is left with the aggregator ${why}`,
    { hint: `Choose from 2 to ${stages - 1}, the other stages there are, or 0 for nothing that is left.` },
  );
}

/** Refuses a sharded run of what cannot be cut, or of training that its parts do not know. */
function checkSharding(config: ConfigFields): void {
  const { sharding, predictor, runtime } = config;
  if (sharding === null) return;
  const refused = (what: string, hint: string) =>
    new PluralError('CONFIG_CONFLICT', `sharding: ${what}`, { hint });
  if (predictor.name !== 'staged') {
    throw refused(`predictor "${predictor.name}" has no stages`, 'Choose predictor "staged".');
  }
  if (resolveDevice(runtime.device) !== 'cpu') {
    throw refused(`parts run on the CPU, not on "${runtime.device}"`, 'Set runtime.device=cpu.');
  }
  checkRecovery(sharding.recovery, stagedOptions.parse(optionsOf(predictor)).stages);
  const { name, local } = strategyOf(config);
  if (local.proximal > 0) {
    throw refused(
      `strategy "${name}" holds groups to the model that they received, of which they have no stage`,
      'Choose strategy "fedavg".',
    );
  }
}

/** Refuses an aggregator without models under a protection that opens every sum there, and a readers' key that nobody would use. */
function checkHolds({ aggregator }: ConfigFields, { name, sealedSums }: Protection): void {
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

/** Refuses plug-ins that do not fit together, once their options are parsed. Errors: CONFIG_CONFLICT. */
export function checkPlugins(config: ConfigFields): void {
  checkStrategy(config);
  const { protection } = roundPlugins(config, 1, { size: 1, counted: null });
  const { predictor } = config;
  // What the checks ask of a layout does not depend on the data.
  const { layout } = predictorKind(predictor.name).create(optionsOf(predictor), { featureWidth: 1, rows: 1 });
  checkCounted(config, layout);
  checkFrozen(config, layout);
  checkParticipation(config, protection);
  checkGroups(config, protection);
  checkHolds(config, protection);
  checkSharding(config);
}
