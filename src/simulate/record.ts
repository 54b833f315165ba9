import { configDigest, configYaml } from '../config/config.ts';
import type { MethodRecord, RunRecord } from '../report/record.ts';
import { environmentOf } from './environment.ts';
import { type Experiment, pluginsOf } from './experiment.ts';
import type { FederatedResult } from './federated.ts';

/** What a run found out besides its models. */
export interface Findings {
  readonly methods: readonly MethodRecord[];
  readonly phases: RunRecord['phases'];
  /** What the import repaired or left out. */
  readonly warnings: readonly string[];
  /** When the run was started for the first time, ISO 8601. */
  readonly startedAt: string;
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

/** Everything that the report shows. */
export function recordOf(experiment: Experiment, federated: FederatedResult, findings: Findings): RunRecord {
  const { config, survey, features, predictor, device, workers } = experiment;
  const { strategy, protection } = pluginsOf(experiment);
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
    bytes: bytesOfRun(experiment, federated),
    environment: environmentOf(device, workers),
    ...findings,
    finishedAt: new Date().toISOString(),
  };
}
