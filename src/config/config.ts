import { stringify } from 'yaml';
import type { z } from 'zod';
import { asStage, type Stage } from '../core/brand.ts';
import { digestOf } from '../core/digest.ts';
import { parseOptions } from '../core/options.ts';
import { listShipped } from '../data/shipped.ts';
import { featuresProvider } from '../features/table.ts';
import { predictorKind } from '../predictor/table.ts';
import { PROTECTIONS } from '../privacy/table.ts';
import { STRATEGIES } from '../strategy/table.ts';
import { resolveDevice } from '../training/device.ts';
import { checkPlugins, checkTogether } from './checks.ts';
import { byName } from './round-plugins.ts';
import { type ConfigFields, configSchema } from './schema.ts';

/** A checked configuration: every default filled in, plug-in options parsed, plug-ins known to fit together. */
export type Config = Stage<'Config', ConfigFields>;

/** The options beside `name`, parsed by the plug-in's schema, with `name` put back. */
function withOptions(where: string, schema: z.ZodType, given: { name: string; [key: string]: unknown }) {
  const { name, ...options } = given;
  const parsed: unknown = parseOptions(where, schema, options);
  return { name, ...(parsed as Record<string, unknown>) };
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
  checkPlugins(config);
  return config;
}

/**
 * What a run's numbers depend on: the configuration without its name, its folder, the number of workers, how a
 * deployed round waits, who can read its models, and where files lie. What is in the files counts, by their own digests (`fingerprintOf`).
 */
export function configDigest(config: Config): string {
  const {
    name: _name,
    output: _output,
    round,
    aggregator: _aggregator,
    updates,
    sharding,
    ...numbers
  } = config;
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
    // And this where every group has the whole predictor.
    ...(sharding === null ? {} : { sharding: countedSharding(sharding) }),
  });
}

/** Deposits of stages change no number. */
function countedSharding({ recovery: _recovery, ...counted }: NonNullable<Config['sharding']>) {
  return counted;
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
