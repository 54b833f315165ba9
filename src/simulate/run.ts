import { join } from 'node:path';
import { z } from 'zod';
import { type Config, configDigest } from '../config/config.ts';
import { PluralError } from '../core/errors.ts';
import { fileExists, jsonOrNull, readFileText, writeFileAtomic } from '../core/files.ts';
import type { RunRecord } from '../report/record.ts';
import { writeRecord, writeReport } from '../report/write.ts';
import { exportModel } from '../training/export-model.ts';
import { startPool } from '../training/pool.ts';
import type { RunContext } from './context.ts';
import type { Emit, RunEvent } from './events.ts';
import { prepareExperiment, setupOf } from './experiment.ts';
import { type FederatedResult, trainFederated } from './federated.ts';
import { compareWith, federatedRecord } from './methods.ts';
import { rewindMetrics } from './metrics.ts';
import { fingerprintOf } from './progress.ts';
import { recordOf } from './record.ts';
import {
  appendLine,
  chooseRunFolder,
  makeRunFolder,
  RUN_FILES,
  type RunPlace,
  removeLeftovers,
} from './run-folder.ts';

export interface RunOptions extends RunPlace {
  /** Told everything that happens, as it happens. */
  readonly emit: Emit;
  /** Stops the run; what was stored stays and the run can be resumed. */
  readonly signal?: AbortSignal;
}

export interface RunOutcome {
  readonly folder: string;
  readonly report: string;
  readonly record: RunRecord;
}

type Phases = { name: string; seconds: number }[];

/**
 * Runs an experiment: prepare, train federated, compare, report. The same configuration, data and seed give the
 * same model, whatever the number of workers and however often the run was interrupted.
 *
 * Errors: those of the configuration, the data and the run folder; INTERRUPTED when `signal` fires.
 */
export async function runExperiment(config: Config, options: RunOptions): Promise<RunOutcome> {
  const folder = chooseRunFolder(config, options);
  const early: RunEvent[] = [];
  const preparing = performance.now();
  const experiment = await prepareExperiment(config, (event) => early.push(event));
  const prepared = (performance.now() - preparing) / 1000;
  const fingerprint = fingerprintOf(experiment);
  if (options.resume) {
    removeLeftovers(folder);
    rewindMetrics(folder, fingerprint);
  } else makeRunFolder(folder, config);

  const emit = recorder(folder, options.emit);
  emit({ type: 'start', name: config.name, folder, configDigest: configDigest(config) });
  for (const event of early) emit(event);
  const warnings = early.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
  const phases: Phases = [{ name: 'Prepare data and features', seconds: prepared }];

  const pool = startPool(setupOf(experiment), experiment.workers);
  const stop = () => void pool.close();
  options.signal?.addEventListener('abort', stop, { once: true });
  if (options.signal?.aborted === true) stop();
  try {
    const run: RunContext = { experiment, pool, folder, fingerprint, emit };
    const federated = await trainFederated(run);
    // Of a sharded run nobody has the model.
    if (config.sharding === null) {
      writeFileAtomic(join(folder, RUN_FILES.model), exportModel(experiment, federated.model));
    }
    const methods = [federatedRecord(run, federated)];
    phases.push(...federatedPhases(federated));
    emit({ type: 'end', method: 'federated' });
    for (const id of config.compare) {
      const { record, seconds } = await compareWith(run, id);
      methods.push(record);
      phases.push({ name: `Compare: ${id}`, seconds });
      emit({ type: 'end', method: id });
    }
    const record = recordOf(experiment, federated, { methods, phases, warnings, startedAt: startOf(folder) });
    return await report(folder, record, emit);
  } catch (thrown) {
    throw isInterruption(thrown, options.signal) ? interrupted(folder, thrown) : thrown;
  } finally {
    options.signal?.removeEventListener('abort', stop);
    await pool.close();
  }
}

async function report(folder: string, record: RunRecord, emit: Emit): Promise<RunOutcome> {
  writeRecord(folder, record);
  const path = await writeReport(folder, record);
  emit({ type: 'done', folder, report: path, modelDigest: record.modelDigest });
  return { folder, report: path, record };
}

/** Events that are figures go to metrics.jsonl, which holds no times; everything goes to log.jsonl, with times. */
function recorder(folder: string, emit: Emit): Emit {
  const figures = new Set<RunEvent['type']>(['round', 'local-model', 'evaluation']);
  return (event) => {
    if (figures.has(event.type)) appendLine(join(folder, RUN_FILES.metrics), event);
    appendLine(join(folder, RUN_FILES.log), { time: new Date().toISOString(), ...event });
    emit(event);
  };
}

const logLine = z.looseObject({ time: z.string() });

/** When the run was started for the first time: the first line of its log. */
function startOf(folder: string): string {
  const path = join(folder, RUN_FILES.log);
  const first = fileExists(path) ? readFileText(path).split('\n', 1)[0]! : '';
  const parsed = logLine.safeParse(jsonOrNull(first));
  // A log that somebody edited costs the time of the start, not the result.
  return parsed.success ? parsed.data.time : new Date().toISOString();
}

function federatedPhases({ progress }: FederatedResult): Phases {
  const { train, aggregate, evaluate } = progress.seconds;
  return [
    { name: 'Federated: local training', seconds: train },
    { name: 'Federated: protect and add updates', seconds: aggregate },
    { name: 'Federated: evaluation', seconds: evaluate },
  ];
}

/** Only what the closed pool answers counts: a full disk in the same moment is still a full disk. */
function isInterruption(thrown: unknown, signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true && thrown instanceof PluralError && thrown.code === 'INTERRUPTED';
}

function interrupted(folder: string, cause: unknown): PluralError {
  return new PluralError('INTERRUPTED', `the run in ${folder} was stopped; what was finished is kept`, {
    hint: `Go on with: pluralllm run ${folder} --resume`,
    cause,
  });
}
