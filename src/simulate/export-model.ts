import { canonicalJson } from '../core/digest.ts';
import type { Model } from '../wire/stages.ts';
import type { Experiment } from './experiment.ts';

/**
 * A trained model as an ONNX file that any ONNX Runtime runs without this package. Inputs: `context_features`
 * [C, F], `context_shares` [C], `target_features` [T, F], `target_question` int32 [T]; output `probabilities` [T].
 */
export function exportModel(
  experiment: Pick<Experiment, 'predictor' | 'features'>,
  model: Model,
): Uint8Array {
  const { predictor, features } = experiment;
  return predictor.exportGraph(model.parameters, {
    'pluralllm.predictor': predictor.name,
    'pluralllm.options': canonicalJson(predictor.options),
    'pluralllm.features': canonicalJson({
      provider: features.provider,
      width: features.width,
      digest: features.digest,
    }),
    'pluralllm.model': canonicalJson({ round: model.round, digest: model.digest }),
  });
}
