import { bytesFrom } from '../../core/bytes.ts';
import { PluralError } from '../../core/errors.ts';
import { fileExists, writeFileAtomic } from '../../core/files.ts';
import { readersFingerprint } from '../../privacy/readers-key.ts';
import { freshSecret } from '../../wire/identity.ts';
import { defineCommand } from '../command.ts';

const FILE_MODE = 0o600;

export const readersKeyCommand = defineCommand({
  usage: 'readers-key',
  describe:
    'make the key that the groups of a run read its models with, where its aggregator holds ciphertext',
  options: (parser) =>
    parser
      .option('out', {
        type: 'string',
        demandOption: true,
        describe: 'file for the key, to be given to all groups of the run and never to its aggregator',
      })
      .example('$0 group readers-key --out readers.key', ''),
  run: async ({ out }, terminal) => {
    if (fileExists(out)) {
      throw new PluralError('RUN_EXISTS', `${out} is there already`, {
        hint: 'Nothing was written over. Choose another file, or delete it if no run needs it.',
      });
    }
    const secret = freshSecret();
    writeFileAtomic(out, `${secret}\n`, { mode: FILE_MODE });
    const fingerprint = readersFingerprint(bytesFrom(secret));
    terminal.event({ type: 'readers-key', out, fingerprint });
    terminal.print(
      `${out}: a readers' key, readable by you alone. Give it to the other groups, not over the aggregator.`,
    );
    terminal.print(`Fingerprint: ${fingerprint}`);
    terminal.print(
      `Next: pluralllm aggregator start <aggregator> <config> protection=seal aggregator.holds=ciphertext aggregator.readers=${fingerprint}`,
    );
  },
});
