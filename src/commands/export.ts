import { join } from 'node:path';
import { formatBytes } from '../core/bytes.ts';
import { writeFileAtomic } from '../core/files.ts';
import { writeFeatures } from '../features/vector-file.ts';
import { openTrainedRun } from '../simulate/trained-run.ts';
import { exportModel } from '../training/export-model.ts';
import { defineCommand } from './command.ts';
import { showProgress } from './progress.ts';

export const exportCommand = defineCommand({
  usage: 'export <run>',
  describe: 'write the trained model as an ONNX file that runs without this package',
  options: (parser) =>
    parser
      .positional('run', { type: 'string', demandOption: true, describe: 'run folder' })
      .option('output', { type: 'string', describe: 'ONNX file (default: exported.onnx in the run folder)' })
      .option('features', {
        type: 'string',
        describe: 'also write the feature vectors of the survey to this Arrow file',
      })
      .example('$0 export runs/quickstart --output model.onnx --features vectors.arrow', ''),
  run: async (flags, terminal) => {
    // Writing a file needs no device that only training had.
    const run = await openTrainedRun(flags.run, ['runtime.device=auto'], showProgress(terminal));
    const output = flags.output ?? join(flags.run, 'exported.onnx');
    const bytes = exportModel(run.experiment, run.model);
    writeFileAtomic(output, bytes);
    const { features, survey } = run.experiment;
    if (flags.features !== undefined) writeFeatures(flags.features, survey.questions, features);
    const size = bytes.byteLength;
    terminal.event({ type: 'exported', output, bytes: size, features: flags.features ?? null });
    terminal.print(`${output}: ${formatBytes(size)}, model after round ${run.model.round}`);
    const { exportSignature } = run.experiment.predictor;
    terminal.print(`Inputs: ${exportSignature}. Output: probabilities [T].`);
    if (flags.features !== undefined) terminal.print(`${flags.features}: features of ${survey.name}`);
  },
});
