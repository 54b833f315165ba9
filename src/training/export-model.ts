import { canonicalJson } from '../core/digest.ts';
import type { Features } from '../features/features.ts';
import type { TrainablePredictor } from '../predictor/predictor.ts';
import type { Model } from '../wire/stages.ts';

/** What a model was trained as, and on. */
export interface ExportContext {
  readonly predictor: TrainablePredictor;
  readonly features: Pick<Features, 'provider' | 'width' | 'digest'>;
}

/**
 * A trained model as an ONNX file that any ONNX Runtime runs without this package. Inputs: those of the predictor's `exportSignature`; output `probabilities` [T].
 */
export function exportModel({ predictor, features }: ExportContext, model: Model): Uint8Array {
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
