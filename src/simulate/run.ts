import { join } from 'node:path';
import { z } from 'zod';
import { type Config, configDigest, configYaml, roundPlugins } from '../config/config.ts';
import { PluralError } from '../core/errors.ts';
import { writeFileAtomic } from '../core/files.ts';
import type { MethodRecord, RunRecord } from '../report/record.ts';
import { writeRecord, writeReport } from '../report/write.ts';
import { startPool } from '../training/pool.ts';
import type { RunContext } from './context.ts';
import { environmentOf } from './environment.ts';
import type { Emit, RunEvent } from './events.ts';
import { type Experiment, prepareExperiment, workerSetup } from './experiment.ts';
import { exportModel } from './export-model.ts';
import { type FederatedResult, trainFederated } from './federated.ts';
import { compareWith, federatedRecord } from './methods.ts';
import { checkpointStore, fingerprintOf } from './progress.ts';
import { appendLine, cutTo, openRunFolder, RUN_FILES, type RunPlace } from './run-folder.ts';

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

/** Events that are figures go to metrics.jsonl, which holds no times; everything goes to log.jsonl, with times. */
function recorder(folder: string, emit: Emit): Emit {
  const figures = new Set<RunEvent['type']>(['round', 'evaluation']);
  return (event) => {
    if (figures.has(event.type)) appendLine(join(folder, RUN_FILES.metrics), event);
    appendLine(join(folder, RUN_FILES.log), { time: new Date().toISOString(), ...event });
    emit(event);
  };
}

/** On resume: forgets the figures that were written after the last checkpoint, for they will come again. */
function rewindMetrics(folder: string, methods: readonly string[], fingerprint: string): void {
  const lengths = methods.map(
    (method) => checkpointStore(folder, method, fingerprint, z.unknown()).load()?.metricsLength ?? 0,
  );
  cutTo(join(folder, RUN_FILES.metrics), Math.max(0, ...lengths));
}

/**
 * Runs an experiment: prepare, train federated, compare, report. The same configuration, data and seed give the
 * same model, whatever the number of workers and however often the run was interrupted.
 *
 * Errors: those of the configuration, the data and the run folder; INTERRUPTED when `signal` fires.
 */
export async function runExperiment(config: Config, options: RunOptions): Promise<RunOutcome> {
  const startedAt = new Date();
  const phases: RunRecord['phases'][number][] = [];
  const prepared = await timed(phases, 'Prepare data and features', () =>
    prepareExperiment(config, options.emit),
  );
  const folder = openRunFolder(config, options);
  const fingerprint = fingerprintOf(prepared);
  if (options.resume) rewindMetrics(folder, ['federated', ...config.compare], fingerprint);
  const emit = recorder(folder, options.emit);
  emit({ type: 'start', name: config.name, folder, configDigest: configDigest(config) });

  const pool = startPool(workerSetup(prepared), prepared.workers);
  const stop = () => void pool.close();
  options.signal?.addEventListener('abort', stop, { once: true });
  if (options.signal?.aborted === true) stop();
  try {
    const run: RunContext = { experiment: prepared, pool, folder, fingerprint, emit };
    const federated = await trainFederated(run);
    addPhases(phases, federated);
    writeFileAtomic(join(folder, RUN_FILES.model), exportModel(prepared, federated.model));
    const methods = [federatedRecord(run, federated)];
    emit({ type: 'end', method: 'federated' });
    for (const id of config.compare) {
      methods.push(await timed(phases, `Compare: ${id}`, () => compareWith(run, id)));
      emit({ type: 'end', method: id });
    }
    const record = recordOf(prepared, federated, methods, phases, startedAt);
    writeRecord(folder, record);
    const report = await writeReport(folder, record);
    emit({ type: 'done', folder, report, modelDigest: federated.model.digest });
    return { folder, report, record };
  } catch (thrown) {
    throw options.signal?.aborted === true ? interrupted(folder, thrown) : thrown;
  } finally {
    options.signal?.removeEventListener('abort', stop);
    await pool.close();
  }
}

function interrupted(folder: string, cause: unknown): PluralError {
  return new PluralError('INTERRUPTED', `the run in ${folder} was stopped; what was finished is kept`, {
    hint: `Go on with: pluralllm run ${folder} --resume`,
    cause,
  });
}

async function timed<Result>(
  phases: RunRecord['phases'][number][],
  name: string,
  work: () => Promise<Result>,
): Promise<Result> {
  const started = performance.now();
  const result = await work();
  phases.push({ name, seconds: (performance.now() - started) / 1000 });
  return result;
}

function addPhases(phases: RunRecord['phases'][number][], { progress }: FederatedResult): void {
  const { train, aggregate, evaluate } = progress.seconds;
  phases.push(
    { name: 'Federated: local training', seconds: train },
    { name: 'Federated: protect and add updates', seconds: aggregate },
    { name: 'Federated: evaluation', seconds: evaluate },
  );
}

function bytesOfRun(experiment: Experiment, { traffic, model }: FederatedResult): RunRecord['bytes'] {
  const submissions = experiment.config.training.rounds * experiment.trainingGroups.length;
  const upload = traffic.uploaded / submissions;
  return {
    uploadPerGroupPerRound: upload,
    downloadPerGroupPerRound: traffic.downloaded / submissions,
    uploadTotal: traffic.uploaded,
    downloadTotal: traffic.downloaded,
    uploadPerParameter: upload / model.parameters.length,
  };
}

function recordOf(
  experiment: Experiment,
  federated: FederatedResult,
  methods: readonly MethodRecord[],
  phases: RunRecord['phases'],
  startedAt: Date,
): RunRecord {
  const { config, survey, features, predictor, device, workers } = experiment;
  const { strategy, protection } = roundPlugins(config);
  const idsOf = (groups: readonly number[]) => groups.map((group) => survey.groups[group]!.id);
  return {
    format: 1,
    name: config.name,
    seed: config.seed,
    configYaml: configYaml(config),
    configDigest: configDigest(config),
    modelDigest: federated.model.digest,
    survey: {
      name: survey.name,
      questions: survey.questions.length,
      groups: survey.groups.length,
      answers: survey.answers.reduce((sum, answers) => sum + answers.length, 0),
      provenance: survey.provenance,
    },
    split: {
      trainingGroups: idsOf(experiment.trainingGroups),
      unseenGroups: idsOf(experiment.unseenGroups),
      heldOutQuestions: experiment.heldOutQuestions.length,
    },
    features: { provider: features.provider, width: features.width, digest: features.digest },
    predictor: { name: predictor.name, parameters: predictor.layout.size },
    strategy: strategy.name,
    protection: { name: protection.name, reveals: protection.reveals },
    rounds: config.training.rounds,
    localSteps: config.training.localSteps,
    contextQuestions: config.evaluation.contextQuestions,
    draws: config.evaluation.draws,
    methods,
    bytes: bytesOfRun(experiment, federated),
    phases,
    environment: environmentOf(device, workers),
    startedAt: startedAt.toISOString(),
    finishedAt: new Date().toISOString(),
  };
}
